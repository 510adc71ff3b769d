// An operator's day: log in, see one's own guests, start one, work at a screen, log out.
import { given, go, logIn, painted, person, picture, pictures, say, scenario } from './browser.mjs';

const SCREEN = '#consoles .console:not([hidden]) canvas';

await scenario(async (browser) => {
	const page = await person(browser);
	await page.getByRole('heading', { name: 'Log in' }).waitFor();
	await pictures(page, 'login');
	await page.getByLabel('User').fill('alice');
	await page.getByLabel('Password').fill('wrong');
	await page.getByRole('button', { name: 'Log in', exact: true }).click();
	await page.getByText('Log-in failed').waitFor();
	await picture(page, 'login-refused');
	await logIn(page, 'alice', given.password);

	const table = page.getByRole('table');
	await table.getByText(given.guest, { exact: true }).waitFor();
	say('guests', await table.locator('tbody strong').allTextContents());
	await pictures(page, 'guests');
	await page.getByLabel('Search guests by name').fill(given.off);
	await page.getByRole('button', { name: `Start ${given.off}` }).click();
	await table.getByText('Running').waitFor();
	say('started');
	page.on('dialog', (dialog) => dialog.accept());
	await page.getByRole('button', { name: `Power off ${given.off}` }).click();
	await table.getByText('Off', { exact: true }).waitFor();
	await page.getByLabel('Search guests by name').fill('');
	await page.getByRole('button', { name: 'Tiles' }).click();
	await page.waitForFunction(() => [...document.querySelectorAll('.tile canvas')].some((canvas) => canvas.width > 100));
	await pictures(page, 'tiles');

	await page.getByRole('link', { name: `Console of ${given.guest}` }).click();
	await page.waitForFunction(painted, SCREEN);
	say('screen', await page.evaluate(painted, SCREEN));
	await pictures(page, 'console');
	await page.locator('#consoles canvas').click();
	await page.keyboard.press('a');
	say('typed');
	await page.getByRole('button', { name: 'Ctrl+Alt+Del' }).click();
	say('three keys');
	await page.getByLabel('Send a key combination').selectOption('Alt+F4');
	say('combination');
	await page.getByText(/\d KiB\/s/).waitFor();
	await page.getByRole('button', { name: 'Fit', pressed: true }).click();
	await page.getByRole('button', { name: 'Fit', pressed: false }).click();
	await page.getByRole('button', { name: 'Fit', pressed: true }).waitFor();

	await page.getByRole('link', { name: 'My access' }).click();
	await page.getByText('webops-on-web').waitFor();
	say('bindings', await page.getByRole('table').first().locator('tbody tr').allInnerTexts());
	await page.getByLabel('Permission').fill('domain:start');
	await page.getByLabel('Object').fill('domain:db-1');
	await page.getByRole('button', { name: 'Ask' }).click();
	await page.getByText(/^no: /).waitFor();
	await pictures(page, 'access');
	await page.getByRole('link', { name: 'Sessions' }).click();
	await page.getByRole('cell', { name: /alice/ }).first().waitFor();
	await pictures(page, 'sessions');
	await go(page, `#/console/${given.uuid}`);
	await page.waitForFunction(painted, SCREEN);
	say('logging out');
	await page.getByRole('button', { name: 'Log out', exact: true }).click();
	await page.getByRole('heading', { name: 'Log in' }).waitFor();
	await page.reload();
	await page.getByRole('heading', { name: 'Log in' }).waitFor();
	say('logged out');
});
