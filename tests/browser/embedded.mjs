// noVNC's own page, as Debian has it, on another server: it shows the ticket that stands in the fragment of its address.
import { context, given, painted, picture, say, scenario } from './browser.mjs';

const SCREEN = '#noVNC_container canvas';

await scenario(async (browser) => {
	const page = await (await context(browser)).newPage();
	page.on('websocket', (socket) => say('socket', socket.url()));
	await page.goto(`${given.page}/vnc.html#host=consoles.localhost&port=${new URL(given.url).port}&encrypt=1&path=console&autoconnect=1&repeaterID=${given.ticket}`);
	await page.waitForFunction(painted, SCREEN);
	say('screen', await page.evaluate(painted, SCREEN));
	await picture(page, 'novnc');
	await page.locator(SCREEN).click();
	await page.keyboard.press('a');
	say('typed');
	await page.reload();
	await page.locator('#noVNC_status.noVNC_status_error, #noVNC_status.noVNC_open').waitFor();
	await page.locator('#noVNC_connect_dlg.noVNC_open').waitFor();
	say('refused');
});
