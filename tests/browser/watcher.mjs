// Somebody who may only look, from some time on: the banner, no keys, and what happens when that right is withdrawn as well.
import { given, go, logIn, person, picture, say, scenario } from './browser.mjs';

// Until the test says so.
function word() {
	return new Promise((done) => { process.stdin.once('data', done); });
}

await scenario(async (browser) => {
	const page = await person(browser);
	await logIn(page, 'carol', given.password);
	await page.getByRole('link', { name: `Console of ${given.guest}` }).click();
	await page.waitForFunction(() => document.querySelector('#consoles canvas')?.width > 100);
	await page.getByRole('button', { name: 'Ctrl+Alt+Del' }).waitFor();
	const narrowed = word();
	say('may type');
	await narrowed;
	await page.getByText('You only watch').waitFor();
	await page.getByRole('button', { name: 'Ctrl+Alt+Del' }).waitFor({ state: 'detached' });
	await page.locator('#consoles canvas').click();
	await page.keyboard.type('aaaa');
	await picture(page, 'console-view');
	const withdrawn = word();
	say('typed');
	await withdrawn;
	await page.locator('#consoles .note.bad').waitFor();
	say('ended', await page.locator('#consoles .note.bad').textContent());
	await picture(page, 'console-ended');
	await go(page, '#/guests');
	await page.getByRole('table').getByText(given.guest).waitFor();
	await page.getByRole('link', { name: /Console of/ }).waitFor({ state: 'detached' });
	say('done');
});
