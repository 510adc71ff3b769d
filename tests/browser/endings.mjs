// What somebody reads when his console ends, and that it comes back by itself where that makes sense.
import { given, go, logIn, person, picture, pictures, say, scenario } from './browser.mjs';

const SCREEN = '#consoles .console:not([hidden]) canvas';

await scenario(async (browser) => {
	const page = await person(browser);
	await logIn(page, 'alice', given.password);
	await page.getByRole('link', { name: `Console of ${given.guest}` }).waitFor();
	// Its name at once, while the gateway has not answered yet.
	const held = new Promise((done) => { page.route(`**/api/v1/guests/${given.uuid}`, done, { times: 1 }); });
	await go(page, `#/console/${given.uuid}`);
	const route = await held;
	say('tab', await page.getByRole('navigation', { name: 'Open consoles' }).getByRole('link').textContent());
	await route.continue();
	await page.locator(SCREEN).waitFor();
	await page.waitForFunction((selector) => document.querySelector(selector)?.width > 100, SCREEN);
	for (const [word, wanted] of [['to be taken', /taken/], ['to be switched off', /is off/]]) {
		say(word);
		const note = page.locator('#consoles .note').filter({ hasText: wanted });
		await note.waitFor();
		await note.getByRole('button', { name: 'Connect again' }).waitFor();
		const noted = new Promise((done) => { process.stdin.once('data', done); });
		say('told', await note.textContent());
		await pictures(page, `console-${word.replaceAll(' ', '-')}`);
		await noted;
		await page.getByRole('button', { name: 'Fit' }).click();	// nothing is connected: it is remembered
		await page.getByRole('button', { name: 'Fit' }).click();
		if (word === 'to be taken')
			await page.getByRole('button', { name: 'Connect again' }).click();
		else
			say('to be switched on');
		await page.locator('#consoles [role=alert] .note').waitFor({ state: 'detached' });
		await page.waitForFunction((selector) => document.querySelector(selector)?.width > 100, SCREEN);
	}
	await picture(page, 'console-back');
	say('back');

	// What cannot be had is said, and asked for once more.
	await page.route('**/api/v1/{guests,sessions}', (route) => route.abort());
	for (const [where, there] of [['sessions', /^this one$/], ['guests', given.guest]]) {
		await go(page, `#/${where}`);
		await page.getByText('The gateway cannot be reached.').waitFor();
		await page.unroute('**/api/v1/{guests,sessions}');
		await page.getByRole('button', { name: 'Try again' }).click();
		await page.getByRole('table').getByText(there, { exact: true }).first().waitFor();
		await page.route('**/api/v1/{guests,sessions}', (route) => route.abort());
	}
	await page.unroute('**/api/v1/{guests,sessions}');
	say('to be logged out');
	await page.getByRole('heading', { name: 'Log in' }).waitFor();
	say('why', await page.getByRole('alert').filter({ hasText: 'any more' }).textContent());
});
