// The guests: a table or tiles with pictures, kept up to date by the gateway's event stream.
import { call, get, post } from './api.js';
import { decodeP6 } from './p6.js';
import { describe } from './errors.js';
import { failure, fill, h, toast } from './dom.js';
import { actionsFor, apply, consoleMode, isOn, shown, STATES } from './state.js';
import { memory } from './time.js';

const PICTURE_EVERY = 5000;	// ms, for tiles that are on the screen
let tiles = false;
let guests = new Map();	// as last heard of: what other pages may call them by

export function nameOf(uuid) {
	return guests.get(uuid)?.name || '';
}

export function forget() {
	guests = new Map();
}

function stateTag(guest) {
	const [label, kind] = STATES[guest.state] || [guest.state, ''];
	return h('span', { class: `tag ${kind}` }, label);
}

async function act(guest, action) {
	if (action.ask && !confirm(action.ask.replace('%s', guest.name)))
		return;
	try {
		await post(`/guests/${guest.uuid}/${action.name}`);
		toast(`${guest.name}: ${action.label.toLowerCase()} was asked for.`);
	} catch (error) {
		toast(`${guest.name}: ${describe(error)}`, true);
	}
}

function buttons(guest) {
	const mode = consoleMode(guest);
	return [
		mode && h('a', { class: 'button', href: `#/console/${guest.uuid}`, 'data-focus': `${guest.uuid} console`,
			'aria-label': `Console of ${guest.name}` }, mode === 'view' ? 'Watch' : 'Console'),
		...actionsFor(guest).map((action) => h('button', { class: action.ask ? 'danger' : null, 'data-focus': `${guest.uuid} ${action.name}`,
			'aria-label': `${action.label} ${guest.name}`, onclick: () => act(guest, action) }, action.label)),
	];
}

function row(guest) {
	return h('tr', {}, h('td', { 'data-label': 'Name' }, h('strong', {}, guest.name)), h('td', { 'data-label': 'State' }, stateTag(guest)),
		h('td', { class: 'num', 'data-label': 'CPUs' }, guest.vcpus ?? ''), h('td', { class: 'num', 'data-label': 'Memory' }, memory(guest.memory_kib)),
		h('td', {}, h('div', { class: 'actions' }, buttons(guest))));
}

async function drawPicture(canvas, guest) {
	const response = await call('GET', `/guests/${guest.uuid}/screenshot`);
	const type = response.headers.get('Content-Type') || '';
	if (type.startsWith('image/x-portable-pixmap')) {
		const { width, height, data } = decodeP6(new Uint8Array(await response.arrayBuffer()));
		Object.assign(canvas, { width, height });
		canvas.getContext('2d').putImageData(new ImageData(data, width, height), 0, 0);
	} else {
		const bitmap = await createImageBitmap(await response.blob());
		Object.assign(canvas, { width: bitmap.width, height: bitmap.height });
		canvas.getContext('2d').drawImage(bitmap, 0, 0);
		bitmap.close();
	}
}

export function show(main, route, me) {
	let loaded = false;
	let ended = false;
	let due = 0;	// of the next drawing
	const pictures = new Map();	// UUID -> canvas, kept over redraws
	const search = h('input', { type: 'search', placeholder: 'Search', 'aria-label': 'Search guests by name', oninput: () => draw() });
	const state = h('select', { 'aria-label': 'State', onchange: () => draw() }, h('option', { value: '' }, 'All states'),
		h('option', { value: 'on' }, 'On'), h('option', { value: 'off' }, 'Off'));
	const asTable = h('button', { onclick: () => { tiles = false; draw(); } }, 'Table');
	const asTiles = h('button', { onclick: () => { tiles = true; draw(); refresh(); } }, 'Tiles');
	const count = h('span', { class: 'quiet', role: 'status' });
	const notice = h('div', {});
	const list = h('div', {});

	function tile(guest) {
		const visible = isOn(guest) && guest.may?.screenshot;
		if (visible && !pictures.has(guest.uuid))
			pictures.set(guest.uuid, h('canvas', { role: 'img', 'aria-label': `Screen of ${guest.name}`, width: 4, height: 3 }));
		return h('article', { class: 'panel tile', 'aria-label': guest.name },
			h('div', { class: 'screen' }, visible ? pictures.get(guest.uuid) : isOn(guest) ? 'You may not see this screen' : 'Off'),
			h('div', { class: 'text' }, h('div', { class: 'name' }, guest.name, stateTag(guest)), h('div', { class: 'actions' }, buttons(guest))));
	}

	function draw() {
		const focus = document.activeElement?.dataset?.focus;
		const rows = shown(guests, { search: search.value, state: state.value });
		asTable.setAttribute('aria-pressed', !tiles);
		asTiles.setAttribute('aria-pressed', tiles);
		count.textContent = loaded ? `${rows.length} of ${guests.size}` : '';
		if (!loaded)
			fill(list, h('p', { class: 'quiet' }, 'Loading the guests …'));
		else if (rows.length === 0)
			fill(list, h('div', { class: 'panel pad quiet' }, guests.size ? 'No guest matches the search.' :
				'There is no guest that you may see. “My access” shows what you were granted.'));
		else if (tiles)
			fill(list, h('div', { class: 'tiles' }, rows.map(tile)));
		else
			fill(list, h('div', { class: 'panel scroll' }, h('table', { class: 'stack' }, h('thead', {}, h('tr', {}, h('th', {}, 'Name'), h('th', {}, 'State'),
				h('th', { class: 'num' }, 'CPUs'), h('th', { class: 'num' }, 'Memory'), h('th', {}, 'Actions'))), h('tbody', {}, rows.map(row)))));
		if (focus)
			list.querySelector(`[data-focus="${CSS.escape(focus)}"]`)?.focus();
	}

	// Many guests that change together are drawn once.
	function drawSoon() {
		due ||= requestAnimationFrame(() => {
			due = 0;
			draw();
		});
	}

	// One picture after the other: a gateway with many guests is not asked for all at once.
	let refreshing = false;
	async function refresh() {
		if (refreshing || !tiles || document.hidden)
			return;
		refreshing = true;
		for (const guest of shown(guests, { search: search.value, state: state.value })) {
			const canvas = pictures.get(guest.uuid);
			const box = canvas?.isConnected && canvas.getBoundingClientRect();
			if (ended || !tiles)
				break;
			if (box && isOn(guest) && box.bottom > 0 && box.top < innerHeight)
				await drawPicture(canvas, guest).catch(() => {});
		}
		refreshing = false;
	}

	// What an event tells may overtake the list that is under way and does not have it yet: then the list is read once more.
	let loading = false;
	let overtaken = false;
	async function load() {
		overtaken = true;
		if (loading)
			return;
		loading = true;
		while (overtaken && !ended) {
			overtaken = false;
			try {
				guests = apply(guests, 'all', (await get('/guests')).guests);
				loaded = true;
				fill(notice);
			} catch (error) {
				fill(notice, failure(describe(error), load));
				fill(list);
			}
		}
		loading = false;
		if (!ended && loaded)
			draw();
	}

	const leaving = new AbortController();
	const on = (name, listener) => addEventListener(`virtgate-${name}`, (event) => listener(event.detail), { signal: leaving.signal });
	for (const name of ['guest', 'gone'])
		on(name, (data) => {
			overtaken = loading;
			guests = apply(guests, name, data);
			drawSoon();
		});
	on('updates', (how) => {
		if (how === true)
			load();	// also after a gap: what was missed is read anew
		else
			fill(notice, h('p', { class: 'note warn', role: 'alert' }, how === false ? 'No live updates at the moment; trying again …' : `Live updates have ended: ${how}`));
	});
	const timer = setInterval(refresh, PICTURE_EVERY);

	fill(main, h('div', { class: 'head' }, h('h1', {}, 'Guests'), count, h('span', { class: 'grow' }), search, state, asTable, asTiles),
		me.mode === 'permissive' ? h('p', { class: 'note warn' }, 'The policy is permissive: what it would refuse is only recorded.') : null, notice, list);
	draw();
	load().then(refresh);
	return () => {
		ended = true;
		leaving.abort();
		clearInterval(timer);
		cancelAnimationFrame(due);
	};
}
