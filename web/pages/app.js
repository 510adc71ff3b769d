// The page: who is logged in, which part is shown. Each part has show(main, route, me) and may give back a function that ends it.
import { call, get, post, setLoggedOut, setToken } from './api.js';
import { describe } from './errors.js';
import { field, fill, h, toast } from './dom.js';
import { parseRoute } from './route.js';
import * as events from './events.js';
import * as guests from './guests.js';
import * as consoles from './console.js';
import * as audit from './audit.js';
import * as access from './access.js';
import * as sessions from './sessions.js';
import * as policy from './policy.js';

const PAGES = {
	guests: { title: 'Guests', part: guests },
	console: { title: 'Console', part: consoles, nav: () => consoles.count() > 0 },
	audit: { title: 'Audit', part: audit, nav: (me) => me.permissions['audit:read'] },
	policy: { title: 'Policy', part: policy, nav: (me) => me.permissions['policy:read'] },
	access: { title: 'My access', part: access },
	sessions: { title: 'Sessions', part: sessions },
};

const main = document.getElementById('main');
let me = null;
let end = null;
let lastWord = '';	// of the gateway, about why the log-in has ended

function drawTop(current) {
	const top = document.getElementById('top');
	if (!me)
		return fill(top, h('div', { class: 'bar' }, h('span', { class: 'brand' }, 'virtgate')));
	const links = Object.entries(PAGES).filter(([, page]) => !page.nav || page.nav(me))
		.map(([name, page]) => h('a', { href: `#/${name}`, 'aria-current': name === current ? 'page' : null }, page.title));
	fill(top, h('div', { class: 'bar' }, h('span', { class: 'brand' }, 'virtgate'), h('nav', { 'aria-label': 'Pages' }, links),
		h('span', { class: 'who', title: me.name }, me.name),
		h('button', { onclick: () => logout(false) }, 'Log out'),
		h('button', { onclick: () => logout(true), title: 'Ends all your browser sessions' }, 'Log out everywhere')));
}

function leave() {
	end?.();
	end = null;
}

function show() {
	leave();
	fill(document.getElementById('toasts'));
	if (!me)
		return;
	const route = parseRoute(location.hash);
	const page = PAGES[route.page];
	drawTop(route.page);
	document.title = `${page ? page.title : 'Not found'} · virtgate`;
	main.hidden = route.page === 'console';
	document.getElementById('consoles').hidden = route.page !== 'console';
	fill(main, h('p', { class: 'quiet' }, 'Loading …'));
	if (!page)
		fill(main, h('h1', {}, 'Not found'), h('p', {}, 'There is no such page. ', h('a', { href: '#/guests' }, 'To the guests')));
	else
		end = page.part.show(main, route, me) || null;
}

async function logout(everywhere) {
	try {
		await post('/logout', { everywhere });
		loggedOut(everywhere ? 'You are logged out everywhere.' : 'You are logged out.');
	} catch (error) {
		toast(describe(error), true);
	}
}

function loggedOut(why) {
	if (me === null && why)
		return;
	me = null;
	setToken('');
	events.end();
	leave();
	consoles.closeAll();
	guests.forget();
	policy.forget();
	loginForm(why, null);
}

function sessionOver() {
	loggedOut(`You are not logged in any more: ${lastWord.replace(/^logged out: /, '') || 'the session has ended'}.`);
}

function loggedIn(answer) {
	me = answer;
	lastWord = '';
	setToken(me.csrf);
	events.begin();
	show();
	main.focus();
}

function loginForm(why, certificate) {
	drawTop();
	main.hidden = false;
	document.getElementById('consoles').hidden = true;
	document.title = 'Log in · virtgate';
	const user = h('input', { name: 'user', autocomplete: 'username', required: true, autocapitalize: 'none', spellcheck: 'false' });
	const password = h('input', { name: 'password', type: 'password', autocomplete: 'current-password', required: true });
	const message = h('div', { role: 'alert' }, why ? h('p', { class: 'note' }, why) : null);
	const buttons = [];
	const attempt = async (body) => {
		buttons.forEach((button) => { button.disabled = true; });
		try {
			loggedIn(await post('/login', body));
		} catch (error) {
			password.value = '';
			fill(message, h('p', { class: 'note bad' }, error.status === 401 ? 'Log-in failed: the user, the password or the certificate was not accepted.'
				: describe(error)));
			password.focus();
		}
		buttons.forEach((button) => { button.disabled = false; });
	};
	const submit = h('button', { class: 'primary', type: 'submit' }, 'Log in');
	const byCertificate = h('button', { type: 'button', onclick: () => attempt({}) }, 'Log in with the certificate');
	buttons.push(submit, byCertificate);
	fill(main, h('div', { class: 'login panel pad' }, h('h1', {}, 'Log in'), message,
		h('form', { onsubmit: (event) => { event.preventDefault(); attempt({ user: user.value, password: password.value }); } },
			field('User', user), field('Password', password), submit,
			certificate ? h('p', { class: 'quiet' }, 'Your browser shows the certificate ', h('span', { class: 'mono' }, certificate), '.') : null,
			certificate ? byCertificate : null)));
	user.focus();
}

async function begin() {
	try {
		loggedIn(await get('/me'));
	} catch (error) {
		if (error.status === 401)
			return loginForm('', error.certificate);
		fill(main, h('div', { class: 'note bad', role: 'alert' }, describe(error)), h('button', { onclick: begin }, 'Try again'));
	}
}

// A fragment is a route here, so the skip link moves the focus itself.
document.querySelector('[data-skip]').addEventListener('click', (event) => {
	event.preventDefault();
	document.querySelector('main:not([hidden])').focus();
});
setLoggedOut(sessionOver);
addEventListener('hashchange', show);
addEventListener('virtgate-consoles', () => drawTop(parseRoute(location.hash).page));
// Pages that he may not see any more, or may see now. A failure shows itself at the next request.
addEventListener('virtgate-rights', async () => {
	try {
		me = { ...me, ...await get('/me') };
		drawTop(parseRoute(location.hash).page);
	} catch (error) {
		if (error.status === 401)
			sessionOver();
	}
});
// Ended: is he still logged in?
addEventListener('virtgate-updates', ({ detail }) => {
	if (typeof detail !== 'string')
		return;
	lastWord = detail;
	get('/guests').catch(() => {});
});
addEventListener('online', () => { if (me) call('GET', '/me').catch(() => {}); });
begin();
