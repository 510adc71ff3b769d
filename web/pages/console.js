// Consoles: noVNC's RFB class over our WebSocket. Several may be open; they stay connected while another part of the page is shown.
import RFB from '@novnc/novnc';
import { get, post } from './api.js';
import { describe } from './errors.js';
import { fill, h, toast } from './dom.js';
import { consoleMode, isOn } from './state.js';
import { clipboardPanel } from './clipboard.js';
import { ending, GUEST_GONE, isOfGuest, LOGGED_OUT } from './endings.js';
import { nameOf } from './guests.js';

const RETRIES = 5;
const SETTLE = 500;	// ms until the list of guests knows why a screen went away
const open = new Map();	// UUID -> console
const root = document.getElementById('consoles');
const tabs = h('div', { class: 'tabs', role: 'navigation', 'aria-label': 'Open consoles' });

// X keysyms, X11/keysymdef.h
const COMBINATIONS = [
	['Ctrl+Alt+F1', [[0xffe3, 'ControlLeft'], [0xffe9, 'AltLeft'], [0xffbe, 'F1']]],
	['Ctrl+Alt+F2', [[0xffe3, 'ControlLeft'], [0xffe9, 'AltLeft'], [0xffbf, 'F2']]],
	['Ctrl+Alt+Backspace', [[0xffe3, 'ControlLeft'], [0xffe9, 'AltLeft'], [0xff08, 'Backspace']]],
	['Alt+Tab', [[0xffe9, 'AltLeft'], [0xff09, 'Tab']]],
	['Alt+F4', [[0xffe9, 'AltLeft'], [0xffc1, 'F4']]],
	['Super', [[0xffeb, 'MetaLeft']]],
	['Print', [[0xff61, 'PrintScreen']]],
];

export function count() {
	return open.size;
}

export function closeAll() {
	for (const console of [...open.values()])
		console.close();
}

let current = '';	// UUID of the one that is shown

function drawTabs() {
	if (!root.hidden)
		document.title = `${open.get(current)?.name || 'Console'} · virtgate`;
	fill(tabs, [...open.values()].map((console) => h('a', { href: `#/console/${console.uuid}`, 'aria-current': console.uuid === current ? 'page' : null },
		console.name || '…')));
}

class Console {
	constructor(uuid) {
		Object.assign(this, { uuid, name: nameOf(uuid), rfb: null, fit: true, lost: false, awaits: false, attempt: 0, socket: null, closed: false, retries: 0, bytes: 0, keyAt: 0, latency: 0 });
		this.view = h('div', { class: 'view', tabindex: '-1' });
		this.banner = h('div', { class: 'note warn', hidden: true }, 'You only watch: keys, pointer and clipboard do not reach the guest.');
		this.notice = h('div', { role: 'alert' });
		this.quality = h('span', { class: 'quiet', 'aria-live': 'off' });
		this.tools = h('div', { class: 'tools' });
		this.clipboard = clipboardPanel((text) => this.give(text));
		this.element = h('div', { class: 'console' }, this.tools, this.banner, this.notice, this.clipboard.element, this.view);
		this.view.addEventListener('keydown', () => { this.keyAt = performance.now(); }, true);
		this.timer = setInterval(() => this.measure(), 2000);
		root.append(this.element);
		this.drawTools();
	}

	say(text, kind, retry) {
		fill(this.notice, text && h('div', { class: `note ${kind}` }, text, ' ', retry && h('button', { onclick: () => { this.retries = 0; this.connect(); } }, 'Connect again')));
	}

	async connect() {
		this.rfb?.disconnect();
		this.rfb = null;
		this.lost = this.awaits = false;
		const attempt = ++this.attempt;
		this.say('Connecting …', '');
		try {
			const guest = await get(`/guests/${encodeURIComponent(this.uuid)}`);
			const mode = consoleMode(guest);
			if (attempt !== this.attempt)
				return;
			this.name = guest.name;
			this.may = guest.may;
			drawTabs();
			this.drawTools();
			this.lost = this.awaits = !mode;
			if (!mode)
				return this.say(isOn(guest) ? `You may not see the screen of ${guest.name}.` : ending(GUEST_GONE, '', '', guest).text, 'warn', true);
			const answer = await post(`/guests/${guest.uuid}/console`, { mode });
			if (!this.closed && attempt === this.attempt)
				this.attach(answer, mode);
		} catch (error) {
			if (attempt !== this.attempt)
				return;
			this.say(describe(error), 'bad', true);
			if (error.status === undefined)
				this.retry();
		}
	}

	// The ticket travels as a subprotocol, never in the address.
	attach({ ticket, path }, mode) {
		const socket = new WebSocket(`wss://${location.host}${path}`, ['binary', `ticket.${ticket}`]);
		const rfb = new RFB(this.view, socket, { shared: true });
		Object.assign(this, { socket, rfb });
		this.scale();
		rfb.background = 'transparent';
		socket.addEventListener('message', (event) => this.heard(event.data.byteLength || 0));
		socket.addEventListener('close', (event) => { if (this.socket === socket) this.ended(event); });
		rfb.addEventListener('connect', () => { this.retries = 0; this.say(''); rfb.focus(); });
		rfb.addEventListener('securityfailure', (event) => { this.refused = event.detail.reason; });
		rfb.addEventListener('clipboard', (event) => { if (this.may?.copy) this.clipboard.heard(event.detail.text); });
		this.setMode(mode);
	}

	setMode(mode) {
		this.mode = mode;
		if (this.rfb)
			this.rfb.viewOnly = mode === 'view';
		this.banner.hidden = mode !== 'view';
		this.drawTools();
	}

	scale() {
		if (this.rfb)
			Object.assign(this.rfb, { scaleViewport: this.fit, clipViewport: !this.fit, dragViewport: false });
	}

	// His rights, or the guest, changed while it is open. A console that lost its input goes on without; it comes back with the next connection.
	changed(guest) {
		if (this.lost)
			return this.follow(guest);
		const mode = this.mode === 'input' && !guest.may?.input ? 'view' : this.mode;
		const other = mode !== this.mode || guest.may?.copy !== this.may?.copy || guest.may?.paste !== this.may?.paste;
		this.may = guest.may;
		if (this.mode && other)	// else what is drawn stays, with the focus that is in it
			this.setMode(mode);
	}

	// What becomes of the guest whose screen is gone: it comes back with it.
	follow(guest) {
		if (this.awaits && consoleMode(guest)) {
			this.connect();
		} else if (!isOn(guest)) {
			this.awaits = true;
			this.say(ending(GUEST_GONE, '', '', guest).text, 'warn', true);
		}
	}

	// The guest as it is a moment after its screen went away; null: there is none, undefined: nobody knows.
	async lookAgain() {
		await new Promise((done) => { setTimeout(done, SETTLE); });
		try {
			return await get(`/guests/${encodeURIComponent(this.uuid)}`);
		} catch (error) {
			return error.status === 404 ? null : undefined;
		}
	}

	async ended(event) {
		const refused = this.refused;
		if (this.closed)
			return;
		this.rfb = null;
		this.refused = '';
		this.lost = isOfGuest(event.code, refused);
		const attempt = this.attempt;
		const guest = this.lost ? await this.lookAgain() : undefined;
		if (this.closed || attempt !== this.attempt)
			return;
		const { text, retry } = ending(event.code, event.reason, refused, guest);
		this.say(retry && this.retries < RETRIES ? `${text} Trying again …` : text, 'bad', true);
		this.awaits ||= Boolean(guest) && !isOn(guest);
		if (event.code === LOGGED_OUT)	// in another window, perhaps: the page asks whether it still is
			dispatchEvent(new CustomEvent('virtgate-updates', { detail: event.reason }));
		if (retry)
			this.retry();
	}

	retry() {
		if (this.closed || ++this.retries > RETRIES)
			return;
		setTimeout(() => { if (!this.closed && !this.rfb) this.connect(); }, 500 * 2 ** this.retries);
	}

	heard(bytes) {
		this.bytes += bytes;
		if (this.keyAt)
			this.latency = Math.round(performance.now() - this.keyAt);
		this.keyAt = 0;
	}

	measure() {
		this.quality.textContent = this.rfb ? `${Math.round(this.bytes / 2048)} KiB/s` + (this.latency ? ` · a key took ${this.latency} ms` : '') : 'not connected';
		this.bytes = 0;
	}

	press(keys) {
		for (const [keysym, code] of keys)
			this.rfb?.sendKey(keysym, code, true);
		for (const [keysym, code] of keys.toReversed())
			this.rfb?.sendKey(keysym, code, false);
		this.rfb?.focus();
	}

	drawTools() {
		const input = this.mode === 'input';
		this.clipboard.allow({ copies: this.may?.copy, sends: input && this.may?.paste });
		const keys = h('select', { 'aria-label': 'Send a key combination', onchange: () => { this.press(COMBINATIONS[keys.selectedIndex - 1][1]); keys.selectedIndex = 0; } },
			h('option', {}, 'Keys …'), COMBINATIONS.map(([name]) => h('option', {}, name)));
		const scale = h('button', { 'aria-pressed': String(this.fit), onclick: () => {
			this.fit = !this.fit;
			this.scale();
			scale.setAttribute('aria-pressed', this.fit);
		} }, 'Fit');
		fill(this.tools, h('h1', {}, this.name || '…'),
			input && h('button', { onclick: () => { this.rfb?.sendCtrlAltDel(); this.rfb?.focus(); } }, 'Ctrl+Alt+Del'), input && keys, scale,
			h('button', { onclick: () => this.view.requestFullscreen().then(() => this.rfb?.focus()).catch(() => toast('The browser refused full screen.', true)) }, 'Full screen'),
			input && this.may?.paste && h('button', { onclick: () => this.paste() }, 'Paste'), this.clipboard.button,
			h('button', { onclick: () => { this.close(); location.hash = '#/guests'; } }, 'Close'), this.quality);
	}

	give(text) {
		if (!this.rfb)
			return toast('The console is not connected.', true);
		this.rfb.clipboardPasteFrom(text);
		return toast('The text is on the guest’s clipboard.');
	}

	async paste() {
		try {
			this.give(await navigator.clipboard.readText());
		} catch {
			toast('The browser did not give its clipboard: use the panel “Clipboard”.', true);
		}
	}

	close() {
		this.closed = true;
		clearInterval(this.timer);
		this.rfb?.disconnect();
		this.socket?.close();
		this.element.remove();
		open.delete(this.uuid);
		drawTabs();
		dispatchEvent(new Event('virtgate-consoles'));
	}
}

addEventListener('virtgate-guest', ({ detail }) => open.get(detail.uuid)?.changed(detail));

export function show(main, route) {
	if (!tabs.isConnected)
		root.prepend(tabs);
	const uuid = route.id || [...open.keys()][0];
	if (!uuid) {
		location.hash = '#/guests';
		return null;
	}
	let chosen = open.get(uuid);
	if (!chosen) {
		chosen = new Console(uuid);
		open.set(uuid, chosen);
		chosen.connect();
		dispatchEvent(new Event('virtgate-consoles'));
	}
	for (const console of open.values())
		console.element.hidden = console !== chosen;
	current = uuid;
	drawTabs();
	chosen.rfb?.focus();
	return null;
}
