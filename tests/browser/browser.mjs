// What the scenarios share: Debian's Chromium by playwright-core, pictures of pages, and words to standard output for the test that started this.
// The one argument is JSON: { url, modules, artefacts, ... }.
import { createRequire } from 'node:module';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const given = JSON.parse(process.argv[2]);
const axe = readFileSync(join(given.modules, 'axe-core', 'axe.min.js'), 'utf8');
const { chromium } = createRequire(join(given.modules, 'x.js'))('playwright-core');
const PATIENCE = 120000;	// ms for whatever is waited for: a busy machine is slow, and who succeeds never waits so long

export function say(word, value) {
	console.log(JSON.stringify({ word, value }));
}

export async function context(browser, options = {}) {
	const one = await browser.newContext({ ignoreHTTPSErrors: true, ...options });
	one.setDefaultTimeout(PATIENCE);
	return one;
}

// One person's browser. Its page fails the scenario when a script does, or when anything is asked of another server.
export async function person(browser, options = {}) {
	const page = await (await context(browser, { viewport: { width: 1200, height: 800 }, ...options })).newPage();
	page.on('pageerror', (error) => { throw error; });
	page.on('request', (request) => {
		const url = request.url();
		if (!url.startsWith(given.url) && !url.startsWith(given.url.replace('https', 'wss')) && !url.startsWith('data:') && !url.startsWith('blob:'))
			throw new Error(`asked of another server: ${url}`);
	});
	page.on('console', (message) => { if (/Content Security Policy/.test(message.text())) throw new Error(message.text()); });
	await page.goto(given.url + '/');
	return page;
}

// Runs in the page: what is painted on the canvas, a number for each part of each pixel; null while nothing is.
export function painted(selector) {
	const canvas = document.querySelector(selector);
	if (!canvas || !canvas.width)
		return null;
	const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
	let lit = 0;
	for (let i = 0; i < data.length; i += 4)
		lit += (data[i] | data[i + 1] | data[i + 2]) !== 0;
	return lit > 500 ? { width: canvas.width, height: canvas.height, data: Array.from(data) } : null;
}

export async function logIn(page, user, password) {
	await page.getByLabel('User').fill(user);
	await page.getByLabel('Password').fill(password);
	await page.getByRole('button', { name: 'Log in', exact: true }).click();
	await page.getByRole('navigation', { name: 'Pages' }).waitFor();
}

// What is known here and not in the page.
export async function until(page, condition, what) {
	for (const end = Date.now() + PATIENCE; !condition(); await page.waitForTimeout(50))
		if (Date.now() > end)
			throw new Error(`waited in vain for ${what}`);
}

export async function picture(page, name) {
	mkdirSync(given.artefacts, { recursive: true });
	await page.screenshot({ path: join(given.artefacts, `page-${name}.png`) });
}

export function go(page, route) {
	return page.evaluate((hash) => { location.hash = hash; }, route);
}

// Labels, roles, contrast, the order of headings: what can be seen from the page as it is (WCAG 2.2 AA, by axe-core).
export async function accessible(page, name) {
	if (!await page.evaluate(() => 'axe' in window))
		await page.evaluate(axe);
	const found = await page.evaluate(async () => (await window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })).violations
		.flatMap(({ id, help, nodes }) => nodes.map((node) => `${id}: ${help}: ${node.html.slice(0, 120)}: ${node.failureSummary.split('\n').slice(1).join(';')}`)));
	if (found.length > 0)
		throw new Error(`${name} is not accessible:\n${found.join('\n')}`);
}

// A picture of every page, also dark and as wide as a telephone; and that everybody can use it.
export async function pictures(page, name) {
	await picture(page, name);
	await accessible(page, name);
	await page.emulateMedia({ colorScheme: 'dark' });
	await picture(page, `${name}-dark`);
	await accessible(page, `${name}-dark`);
	await page.emulateMedia({ colorScheme: 'light' });
	const size = page.viewportSize();
	await page.setViewportSize({ width: 390, height: 800 });
	const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
	await picture(page, `${name}-phone`);
	await accessible(page, `${name}-phone`);
	if (wide)
		throw new Error(`${name}: wider than a telephone`);
	await page.setViewportSize(size);
}

export async function scenario(run) {
	const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', headless: true, timeout: PATIENCE, args: ['--no-sandbox', '--disable-gpu', '--disable-quic',
		'--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] });
	let code = 0;
	process.on('uncaughtException', (error) => { console.error(error); process.exit(1); });
	try {
		await run(browser);
	} catch (error) {
		console.error(error);
		for (const one of browser.contexts())
			for (const page of one.pages())
				await picture(page, 'failed').catch(() => {});
		code = 1;
	}
	await browser.close();
	process.exit(code);
}
