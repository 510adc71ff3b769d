// Somebody who may only look: the banner, no keys, and what happens when the right is withdrawn.
import { given, go, logIn, person, picture, say, scenario } from './browser.mjs';

await scenario(async (browser) => {
	const page = await person(browser);
	await logIn(page, 'carol', given.password);
	await page.getByRole('link', { name: `Console of ${given.guest}` }).click();
	await page.getByText('You only watch').waitFor();
	await page.waitForFunction(() => document.querySelector('#consoles canvas')?.width > 100);
	await page.locator('#consoles canvas').click();
	await page.keyboard.type('aaaa');
	await picture(page, 'console-view');
	say('typed');
	process.stdin.resume();
	await new Promise((done) => { process.stdin.once('data', done); });
	await page.locator('#consoles .note.bad').waitFor({ timeout: 5000 });
	say('ended', await page.locator('#consoles .note.bad').textContent());
	await picture(page, 'console-ended');
	await go(page, '#/guests');
	await page.getByRole('table').getByText(given.guest).waitFor();
	await page.getByRole('link', { name: /Console of/ }).waitFor({ state: 'detached' });
	say('done');
});
