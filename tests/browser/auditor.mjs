// An admin with a certificate: the trail, one record with what it changed, the sessions of all.
import { given, person, pictures, say, scenario } from './browser.mjs';

await scenario(async (browser) => {
	const page = await person(browser, { clientCertificates: [{ origin: given.url, certPath: given.certificate, keyPath: given.key }] });
	await page.getByText(given.dn).waitFor();
	await pictures(page, 'login-certificate');
	await page.getByRole('button', { name: 'Log in with the certificate' }).click();
	await page.getByRole('link', { name: 'Audit' }).click();
	await page.getByText(/The chain is/).waitFor();
	await page.getByRole('link', { name: 'domain.define' }).first().waitFor();
	say('events', await page.locator('tbody a').allTextContents());
	await page.waitForFunction(() => /is whole|BROKEN/.test(document.body.textContent), null, { timeout: 30000 });
	say('chain', await page.getByText(/The chain is/).textContent());
	await pictures(page, 'audit');
	await page.getByLabel('Object').fill(given.changed);
	await page.getByRole('button', { name: 'Search' }).click();
	await page.waitForURL(/object=/);
	await page.getByRole('link', { name: 'domain.define' }).first().click();
	await page.getByRole('heading', { name: 'Difference' }).first().waitFor();
	say('diff', await page.locator('.diff').first().innerText());
	await pictures(page, 'record');
	await page.getByRole('link', { name: 'My access' }).click();
	await page.getByLabel('Who (empty: you)').fill('sasl:alice');
	await page.getByLabel('Permission').fill('domain:start');
	await page.getByLabel('Object').fill('domain:web-1');
	await page.getByRole('button', { name: 'Ask' }).click();
	await page.getByText(/^yes: /).waitFor();
	await pictures(page, 'access-admin');
	await page.getByRole('link', { name: 'Sessions' }).click();
	await page.getByRole('cell', { name: /admin/ }).first().waitFor();
	await pictures(page, 'sessions-admin');
	const download = page.waitForEvent('download');
	await page.getByRole('link', { name: 'Audit' }).click();
	await page.getByRole('link', { name: 'cef' }).click();
	say('export', (await download).suggestedFilename());
});
