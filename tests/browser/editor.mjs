// An admin edits a draft of the policy: who loses what, which decisions of these days turn, mistakes with their line, a file to take along.
import { readFileSync } from 'node:fs';
import { given, person, pictures, say, scenario } from './browser.mjs';

await scenario(async (browser) => {
	const page = await person(browser, { acceptDownloads: true, clientCertificates: [{ origin: given.url, certPath: given.certificate, keyPath: given.key }] });
	await page.getByRole('button', { name: 'Log in with the certificate' }).click();
	await page.getByRole('link', { name: 'Policy' }).click();
	await page.getByText('in force', { exact: true }).waitFor();
	await pictures(page, 'policy');

	// the group's binding loses a set and gains another
	await page.getByRole('button', { name: `Edit ${given.binding}` }).click();
	await pictures(page, 'policy-row');
	await page.getByLabel('On', { exact: true }).fill(given.on);
	await page.getByRole('button', { name: 'Into the draft' }).click();
	await page.getByText('draft, not in force').waitFor();
	// reads of guests are recorded, too
	await page.getByRole('button', { name: 'Reads' }).click();
	await page.getByText('There is no level.').waitFor();
	await page.getByRole('button', { name: 'Add a level' }).click();
	await page.getByRole('combobox', { name: 'Class' }).selectOption('domain');
	await page.getByRole('combobox', { name: 'Level' }).selectOption('metadata');
	await page.getByRole('button', { name: 'Into the draft' }).click();
	await page.getByRole('button', { name: 'Edit domain' }).waitFor();
	await pictures(page, 'policy-reads');
	await page.getByRole('button', { name: 'Test the draft' }).click();
	await page.getByText('No mistakes').waitFor();
	await page.getByRole('heading', { name: 'Decisions of the last 7 days' }).waitFor();
	say('rights', await page.getByRole('region', { name: 'Who gains and loses' }).locator('tbody tr').allInnerTexts());
	say('decisions', { told: await page.getByRole('region', { name: 'Recorded decisions' }).locator('.note').allInnerTexts(),
		rows: await page.getByRole('region', { name: 'Recorded decisions' }).locator('tbody tr').allInnerTexts() });
	await page.getByRole('heading', { name: 'Who gains and loses' }).evaluate((heading) => heading.scrollIntoView());
	await pictures(page, 'policy-tested');

	// it is kept over a reload of the page, and comes as a file
	await page.reload();
	await page.getByText('draft, not in force').waitFor();
	const download = page.waitForEvent('download');
	await page.getByRole('button', { name: 'Download' }).click();
	say('file', readFileSync(await (await download).path(), 'utf8'));

	// a mistake in the text leads to its line
	await page.getByRole('button', { name: 'Text' }).click();
	const text = page.getByLabel('Text of the draft');
	const before = await text.inputValue();
	await text.fill(before.replace('"role": "operator"', '"role": "operatr"'));
	await page.getByRole('button', { name: 'Test the draft' }).click();
	await page.getByText("unknown role 'operatr'").first().waitFor();
	say('mistake', await page.getByRole('region', { name: 'Mistakes' }).locator('li').first().innerText());
	await page.getByRole('button', { name: /^Line \d+$/ }).first().click();
	say('selected', await text.evaluate((area) => area.value.slice(area.selectionStart, area.selectionEnd)));
	await pictures(page, 'policy-mistake');

	// a log-out takes it away
	await page.getByRole('button', { name: 'Log out', exact: true }).click();
	await page.getByRole('heading', { name: 'Log in' }).waitFor();
	say('kept', await page.evaluate(() => sessionStorage.length));
});
