// Consoles, as they are lived with: the network that goes away, full screen, the clipboard, several in tabs, other windows, and the guests by keyboard alone.
import { given, go, logIn, person, picture, pictures, say, scenario, until } from './browser.mjs';

// This guest's console is the one shown, and has a screen. Its name, since the console shown before stays until the page has heard of the click.
async function painted(page, guest) {
	await page.waitForFunction((name) => [...document.querySelectorAll('#consoles .console:not([hidden])')]
		.some((console) => console.querySelector('h1')?.textContent === name && console.querySelector('canvas')?.width > 100), guest);
}

// Each console that was opened.
function sockets(page) {
	const list = [];
	page.on('websocket', (socket) => {
		const one = { closed: false };
		list.push(one);
		socket.on('close', () => { one.closed = true; });
	});
	return list;
}

// Tab until the element that has the focus bears this label.
async function tabTo(page, label, limit = 40) {
	for (let i = 0; i < limit; i++) {
		await page.keyboard.press('Tab');
		const focused = await page.evaluate(() => document.activeElement.getAttribute('aria-label') || document.activeElement.textContent);
		if (label.test(focused))
			return;
	}
	throw new Error(`no Tab leads to ${label}`);
}

await scenario(async (browser) => {
	const page = await person(browser, { permissions: ['clipboard-read', 'clipboard-write'] });
	const opened = sockets(page);
	await logIn(page, 'alice', given.password);

	// the guests without a pointer
	await page.getByRole('table').getByText(given.off, { exact: true }).waitFor();
	await tabTo(page, /^Skip to the content$/);
	await page.keyboard.press('Enter');
	await tabTo(page, /^Search guests by name$/);
	await page.keyboard.type(given.off);
	await tabTo(page, new RegExp(`^Start ${given.off}$`));
	await page.keyboard.press('Enter');
	await page.getByRole('table').getByText('Running').waitFor();
	await page.evaluate(() => document.getElementById('main').focus());
	page.once('dialog', (dialog) => dialog.accept());
	await tabTo(page, new RegExp(`^Power off ${given.off}$`));
	await page.keyboard.press('Space');
	await page.getByRole('table').getByText('Off', { exact: true }).waitFor();
	await page.getByLabel('Search guests by name').fill('');
	say('by keyboard');

	// two consoles in tabs: both stay, one is shown
	await page.getByRole('link', { name: `Console of ${given.guest}` }).click();
	await painted(page, given.guest);
	await go(page, '#/guests');
	await page.getByRole('link', { name: `Console of ${given.second}` }).click();
	await painted(page, given.second);
	const tabs = page.getByRole('navigation', { name: 'Open consoles' });
	say('tabs', await tabs.getByRole('link').allTextContents());
	await picture(page, 'console-tabs');
	await tabs.getByRole('link', { name: given.guest }).click();
	await painted(page, given.guest);
	say('shown', { current: await tabs.locator('[aria-current]').textContent(), visible: await page.locator('#consoles .console:visible').count(),
		open: opened.filter((socket) => !socket.closed).length });

	// full screen, and back
	const shown = page.locator('#consoles .console:visible');
	await shown.getByRole('button', { name: 'Full screen' }).click();
	await page.waitForFunction(() => document.fullscreenElement?.classList.contains('view'));
	await page.evaluate(() => document.exitFullscreen());
	await page.waitForFunction(() => !document.fullscreenElement);
	say('full screen');

	// the clipboard, where it is permitted
	await page.evaluate(() => navigator.clipboard.writeText('from the browser'));
	await shown.getByRole('button', { name: 'Paste' }).click();
	await page.getByText('The text is on the guest’s clipboard.').waitFor();
	say('pasted');
	await shown.getByRole('button', { name: 'Clipboard', exact: true }).click();
	await shown.getByRole('textbox', { name: 'For the guest' }).fill('typed for the guest: Wörter €');
	await shown.getByRole('button', { name: 'Send to the guest' }).click();
	say('sent');
	await shown.getByRole('button', { name: 'Clipboard', exact: true }).click();
	// a text of the guest, of which somebody else is told to put it there
	say('waiting for a text');
	await shown.getByRole('button', { name: 'Clipboard, with a new text from the guest' }).click();
	const text = shown.getByRole('textbox', { name: 'From the guest' });
	say('copied', { text: await text.inputValue(), told: await shown.getByRole('status').textContent(), writable: await text.isEditable() });
	await pictures(page, 'console-clipboard');
	await shown.getByRole('button', { name: 'Copy', exact: true }).click();
	await page.getByText('The text of the guest is on your clipboard.').waitFor();
	say('taken along', await page.evaluate(() => navigator.clipboard.readText()));
	await shown.getByRole('button', { name: 'Clipboard', exact: true }).click();
	await tabs.getByRole('link', { name: given.second }).click();
	await painted(page, given.second);
	say('no paste', await page.locator('#consoles .console:visible').getByRole('button', { name: /Paste|Clipboard/ }).count());

	// the network goes away: each comes back by itself, with a new ticket and the same log-in
	const before = opened.length;
	say('connected');
	await until(page, () => opened.length === before + 2, 'the consoles to come back');
	await page.waitForFunction(() => document.querySelectorAll('#consoles .console .note:not([hidden]):not(.warn)').length === 0);
	await painted(page, given.second);
	say('back', { sockets: opened.length - before, open: opened.filter((socket) => !socket.closed).length, login: await page.getByRole('heading', { name: 'Log in' }).count() });

	// a log-out everywhere in another window ends what is open here
	const other = await page.context().newPage();
	await other.goto(given.url + '/');
	await other.getByRole('button', { name: 'Log out everywhere' }).click();
	await other.getByRole('heading', { name: 'Log in' }).waitFor();
	await page.getByRole('heading', { name: 'Log in' }).waitFor();
	await until(page, () => opened.every((socket) => socket.closed), 'the end of all consoles');
	say('ended', opened.length);
	say('consoles left', await page.locator('#consoles .console').count());
});
