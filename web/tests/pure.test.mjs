// The pages' modules that need no browser. Run by tests/unit/web_pages.sh.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { diffLines } from '../pages/diff.js';
import { TABLES, cellText, directionWords, fromForm, lineRange, policyText, readPolicy, replayWords, rowsOf, toForm, withRow } from '../pages/draft.js';
import { ending, isOfGuest } from '../pages/endings.js';
import { ApiError, describe } from '../pages/errors.js';
import { outsideMark, parseFilters, toFragment, toQuery } from '../pages/filters.js';
import { decodeP6 } from '../pages/p6.js';
import { parseRoute } from '../pages/route.js';
import { actionsFor, apply, consoleMode, shown } from '../pages/state.js';
import { boundedText } from '../pages/text.js';
import { dateTime, memory, micros, span } from '../pages/time.js';

function p6(head, ...pixels) {
	return new Uint8Array([...Buffer.from(head, 'latin1'), ...pixels]);
}

test('P6: pixels come out as RGBA', () => {
	const { width, height, data } = decodeP6(p6('P6\n2 1\n255\n', 1, 2, 3, 4, 5, 6));
	assert.deepEqual([width, height, [...data]], [2, 1, [1, 2, 3, 255, 4, 5, 6, 255]]);
});

test('P6: comments in the head, and a first pixel that looks like a blank', () => {
	const { data } = decodeP6(p6('P6 # made by QEMU\n1 #x\n1 255\n', 10, 32, 35));
	assert.deepEqual([...data], [10, 32, 35, 255]);
});

test('P6: every cut, and lies about size and depth, are refused', () => {
	const whole = p6('P6\n2 2\n255\n', ...new Array(12).fill(7));
	for (let length = 0; length < whole.length; length++)
		assert.throws(() => decodeP6(whole.subarray(0, length)), Error, `${length} bytes`);
	for (const head of ['P5\n1 1\n255\n', 'P6\n0 1\n255\n', 'P6\n9999 9999\n255\n', 'P6\n99999999 1\n255\n', 'P6\n1 1\n65535\n', 'P6\n-1 1\n255\n', 'P6\n1x1\n255\n'])
		assert.throws(() => decodeP6(p6(head, ...new Array(16).fill(0))), Error, head);
});

test('diff: what each line is', () => {
	assert.deepEqual(diffLines('--- a\n+++ b\n@@ -1 +1 @@\n-x\n+y\n z\n').map((line) => line.kind), ['hunk', 'hunk', 'hunk', 'del', 'add', 'same']);
	assert.equal(diffLines('+<script>')[0].text, '+<script>');
});

test('diff: a long one is cut and says so', () => {
	const lines = diffLines('+\n'.repeat(6000));
	assert.equal(lines.length, 5001);
	assert.match(lines.at(-1).text, /1000 more lines/);
});

test('filters: only known keys that say something pass', () => {
	assert.deepEqual(parseFilters('user=alice&evil=1&object=&result=denied'), { user: 'alice', result: 'denied' });
	assert.equal(toFragment({ user: 'a&b', evil: 'x' }), '#/audit?user=a%26b');
	assert.equal(toFragment({}), '#/audit');
});

test('filters: local times become UTC, broken ones are left out', () => {
	const query = new URLSearchParams(toQuery({ since: '2026-11-27T10:00', until: 'never' }, { limit: 100 }));
	assert.equal(query.get('since'), new Date('2026-11-27T10:00').toISOString().replace('.000', ''));
	assert.equal(query.has('until'), false);
	assert.equal(query.get('limit'), '100');
});

test('records: what went round the gateway is marked, and only that', () => {
	assert.deepEqual(['outside.host', 'outside.away', 'outside.guest', 'domain.start', undefined].map((event) => outsideMark({ event })?.kind), ['bad', 'bad', 'warn', undefined, undefined]);
});

test('time: for people', () => {
	assert.match(dateTime('2026-11-23T19:50:12.123456Z'), /^2026-11-2[34] \d\d:\d\d:12$/);
	assert.deepEqual([dateTime(null), dateTime('soon')], ['', 'soon']);
	assert.deepEqual([span(59), span(60), span(7200), span(172800)], ['59 s', '1 min', '2 h', '2 d']);
	assert.deepEqual([micros(812), micros(1500), micros(2500000), micros(undefined)], ['812 µs', '1.5 ms', '2.5 s', '']);
	assert.deepEqual([memory(512), memory(65536), memory(1572864)], ['512 KiB', '64 MiB', '1.5 GiB']);
});

test('errors: a refusal names permission, object and decision', () => {
	const error = new ApiError(403, { message: 'access denied', permission: 'domain:start', object: "domain 'web-1'", decision: '01JD' });
	assert.equal(describe(error), "Not permitted: you lack domain:start on domain 'web-1'. Decision 01JD.");
	assert.match(describe(new ApiError(401)), /not logged in/);
	assert.match(describe(new ApiError(404)), /may not see/);
	assert.match(describe(new TypeError('fetch failed')), /cannot be reached/);
	assert.equal(describe(new ApiError(500, { message: 'libvirtd is gone' })), 'libvirtd is gone');
});

const guest = (uuid, name, state, may = {}) => ({ uuid, name, state, may });

test('state: events change the list, the old one stays as it was', () => {
	const one = apply(new Map(), 'all', [guest('u1', 'web-1', 'running'), guest('u2', 'db', 'shutoff')]);
	const two = apply(one, 'guest', guest('u2', 'db', 'running'));
	const three = apply(two, 'gone', { uuid: 'u1' });
	assert.deepEqual([one.get('u2').state, two.get('u2').state, [...three.keys()]], ['shutoff', 'running', ['u2']]);
});

test('state: search, filter, and an order that counts', () => {
	const all = apply(new Map(), 'all', [guest('u1', 'web-10', 'running'), guest('u2', 'web-9', 'shutoff'), guest('u3', 'db', 'paused')]);
	assert.deepEqual(shown(all).map((g) => g.name), ['db', 'web-9', 'web-10']);
	assert.deepEqual(shown(all, { search: 'WEB' }).map((g) => g.name), ['web-9', 'web-10']);
	assert.deepEqual(shown(all, { state: 'on' }).map((g) => g.name), ['db', 'web-10']);
});

test('state: only buttons that are permitted and make sense', () => {
	const may = { start: true, destroy: true, reset: false, suspend: true };
	assert.deepEqual(actionsFor(guest('u', 'n', 'shutoff', may)).map((a) => a.name), ['start']);
	assert.deepEqual(actionsFor(guest('u', 'n', 'running', may)).map((a) => a.name), ['suspend', 'destroy']);
	assert.deepEqual(actionsFor({ uuid: 'u', name: 'n', state: 'running' }), []);
});

test('state: a console as far as the right goes, and only of a guest that is on', () => {
	assert.equal(consoleMode(guest('u', 'n', 'running', { input: true, view: true })), 'input');
	assert.equal(consoleMode(guest('u', 'n', 'paused', { view: true })), 'view');
	assert.equal(consoleMode(guest('u', 'n', 'running', {})), null);
	assert.equal(consoleMode(guest('u', 'n', 'shutoff', { input: true })), null);
});

test('route: page, id and query; broken escapes are no id', () => {
	assert.deepEqual(parseRoute('#/audit/01%2FJD?user=x'), { page: 'audit', id: '01/JD', query: 'user=x' });
	assert.deepEqual(parseRoute(''), { page: 'guests', id: '', query: '' });
	assert.equal(parseRoute('#/audit/%E0%A4').id, '');
});

test('endings: each close code of the gateway has words here and in the OpenAPI document', async () => {
	const rows = (await readFile(new URL('../../include/virtgate/endings.def', import.meta.url), 'utf8')).matchAll(/^ENDING\((\w+), (\d+), /gm);
	const codes = new Set([...rows].map(([, , code]) => Number(code)).filter(Boolean));
	const api = JSON.parse(await readFile(new URL('../openapi.json', import.meta.url), 'utf8'));
	const told = api.paths['/guests/{uuid}/console'].post.description.matchAll(/\b(1003|4\d{3}) /g);
	assert.ok(codes.size > 15);
	for (const code of codes)
		assert.ok(ending(code, '', '').known, code);
	assert.deepEqual([...new Set([...told].map(([, code]) => Number(code)))].toSorted(), [...codes].toSorted());
});

test('endings: a lost network is tried again, a withdrawn right is not', () => {
	const retried = (code, refused) => ending(code, '', refused, undefined).retry;
	assert.deepEqual([1006, 4500, 4503, 4415].map((code) => retried(code)), [true, true, true, true]);
	assert.deepEqual([4403, 4404, 4409, 4410, 4411, 4412, 4413, 4401, 4999].map((code) => retried(code)), new Array(9).fill(false));
	assert.equal(retried(4505, 'the audit trail cannot be written'), false);
});

test('endings: who did it, what was said, and what the guest is now', () => {
	const told = (...args) => ending(...args).text;
	assert.match(told(4409, 'another viewer took the screen: bob', ''), /himself: bob\. You can/);
	assert.match(told(4409, 'another viewer took the screen', ''), /himself\. You can/);
	assert.match(told(4410, 'logged out: nothing was done for too long', ''), /^You were logged out: nothing was done for too long\.$/);
	assert.match(told(4411, 'nobody typed: x', ''), /closed\. Connect/);
	assert.match(told(4404, '', 'access denied'), /refused this console\. \(access denied\)/);
	assert.match(told(1005, '', 'access denied'), /refused this console\. \(access denied\)/);
	assert.match(told(4999, '', ''), /^The console was closed\.$/);
	assert.match(told(4415, '', '', null), /not there any more/);
	assert.match(told(4415, '', '', guest('u', 'n', 'shutoff', { view: true })), /is off\. .*when it is started/);
	assert.match(told(4417, '', 'domain is not running', guest('u', 'n', 'shutoff', {})), /^The guest is off\. The console/);
	assert.equal(told(4417, '', 'no VNC', null), 'The guest is not there any more.');
	assert.match(told(4415, '', '', guest('u', 'n', 'running', { view: true })), /screen went away/);
	assert.equal(ending(4415, '', '', guest('u', 'n', 'shutoff', {})).retry, false);
	for (const code of [1000, 1005, 1006]) {	// noVNC was the first to close
		assert.equal(told(code, '', 'domain is not running', guest('u', 'n', 'shutoff', {})), 'The guest is off. The console comes back when it is started.');
		assert.equal(told(code, '', 'rights revoked', guest('u', 'n', 'running', {})), 'The gateway refused this console. (rights revoked)');
		assert.ok(isOfGuest(code, 'rights revoked') && !isOfGuest(code, ''));
	}
	assert.ok(!isOfGuest(4403, 'rights revoked'));
});

test('text: at most 256 KiB, and no half letters', () => {
	assert.deepEqual(boundedText('a\nä'), { text: 'a\nä', cut: false });
	assert.deepEqual(boundedText('a'.repeat(262144)), { text: 'a'.repeat(262144), cut: false });
	assert.deepEqual(boundedText('a' + '€'.repeat(100000)), { text: 'a' + '€'.repeat(87381), cut: true });
	assert.equal(boundedText('ab' + '€'.repeat(100000)).text, 'ab' + '€'.repeat(87380));
});

// What stands on what in app.css, and how much lighter one must be (WCAG 2.2, 1.4.3 and 1.4.11).
const ON = { ink: ['back', 'plane', 'hover'], quiet: ['back', 'plane', 'hover'], accent: ['back', 'plane', 'hover'], bad: ['plane', 'hover', 'bad-back'], good: ['good-back', 'plane'],
	warn: ['warn-back', 'plane'], 'on-accent': ['accent'] };
const EDGES = { edge: ['back', 'plane'], accent: ['back', 'plane'] };

function light(colour) {
	const hex = colour.length === 4 ? [...colour.slice(1)].map((digit) => digit + digit).join('') : colour.slice(1);
	const [r, g, b] = [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255).map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
	return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

test('colours: everything can be read, by day and by night', async () => {
	const css = await readFile(new URL('../pages/app.css', import.meta.url), 'utf8');
	const sets = [...css.matchAll(/:root \{([^}]*)\}/g)].map(([, text]) => Object.fromEntries([...text.matchAll(/--([\w-]+): (#[0-9a-f]+)/g)].map(([, name, colour]) => [name, colour])));
	assert.equal(sets.length, 2);
	for (const [pairs, least] of [[ON, 4.5], [EDGES, 3]])
		for (const colours of sets)
			for (const [over, unders] of Object.entries(pairs))
				for (const under of unders) {
					const [high, low] = [light(colours[over]), light(colours[under])].sort((a, b) => b - a);
					const contrast = (high + 0.05) / (low + 0.05);
					assert.ok(contrast >= least, `${over} ${colours[over]} on ${under} ${colours[under]}: ${contrast.toFixed(2)}`);
				}
});

const POLICY = {
	version: 1, groups: { ops: ['sasl:ann', 'sasl:bob'] },
	bindings: [{ id: 'ops', who: ['group:ops'], role: 'operator', on: ['domain:web-*'], when: { hours: 'Mon-Fri 08:00-18:00', from: ['10.0.0.0/8', '192.0.2.7'] }, description: 'x' },
		{ id: 'all', who: ['sasl:root'], role: 'admin', on: ['*'] }],
	admission: [{ id: 'strict', profile: 'restricted', who: ['group:ops'], macs: ['52:54:00:*'], max_vcpus: 4 }],
};

test('draft: the text is that policy, a row a line, long ones in several', () => {
	const text = policyText(POLICY);
	assert.deepEqual(JSON.parse(text), POLICY);
	assert.match(text, /\n {4}\{ "id": "all", "who": \["sasl:root"\], "role": "admin", "on": \["\*"\] \}\n/);
	assert.match(text, /\n {6}"when": \{ "hours"/);
	assert.ok(Math.max(...text.split('\n').map((line) => line.length)) <= 124);
	assert.equal(policyText(JSON.parse(text)), text);
	assert.deepEqual([readPolicy('['), readPolicy('[]'), readPolicy('7'), readPolicy('null')], [null, null, null, null]);
});

test('draft: a form changes what it shows and keeps the rest', () => {
	const { fields } = TABLES.bindings;
	for (const row of POLICY.bindings)
		assert.deepEqual(fromForm(toForm(row, fields), fields, row), row);
	const form = toForm(POLICY.bindings[0], fields);
	assert.deepEqual([form.who, form.from, form.hours, form.mode, form.more], ['group:ops', '10.0.0.0/8\n192.0.2.7', 'Mon-Fri 08:00-18:00', '', '']);
	const changed = fromForm({ ...form, who: ' group:ops \n\nsasl:zoe', hours: '', from: '', mode: 'permissive' }, fields, POLICY.bindings[0]);
	assert.deepEqual(changed, { id: 'ops', who: ['group:ops', 'sasl:zoe'], role: 'operator', on: ['domain:web-*'], description: 'x', mode: 'permissive' });
});

test('draft: members that no field shows are there as JSON, and stay', () => {
	const { fields } = TABLES.admission;
	const form = toForm(POLICY.admission[0], fields);
	assert.equal(form.more, '{ "macs": ["52:54:00:*"], "max_vcpus": 4 }');
	assert.deepEqual(fromForm(form, fields, POLICY.admission[0]), POLICY.admission[0]);
	assert.throws(() => fromForm({ ...form, more: '[1' }, fields), /no JSON object/);
	const odd = { id: 'x', when: { from: ['10.0.0.1'], later: 1 } };
	assert.deepEqual(fromForm(toForm(odd, TABLES.bindings.fields), TABLES.bindings.fields, odd), odd);
});

test('draft: rows are put in, replaced and taken out; the policy given stays', () => {
	const before = JSON.stringify(POLICY);
	assert.deepEqual(withRow(POLICY, 'bindings', 0, null).bindings, [POLICY.bindings[1]]);
	assert.equal(withRow(POLICY, 'bindings', 1, { id: 'new' }).bindings[1].id, 'new');
	assert.equal(withRow(POLICY, 'rules', undefined, { id: 'r' }).rules.length, 1);
	assert.equal('admission' in withRow(POLICY, 'admission', 0, null), false);
	assert.deepEqual([rowsOf(POLICY, 'rules'), rowsOf({ rules: 7 }, 'rules'), rowsOf({ rules: [7] }, 'rules')], [[], null, null]);
	assert.equal(JSON.stringify(POLICY), before);
});

test('draft: members of an object are rows, too', () => {
	const policy = { version: 1, audit: { reads: { '*': 'none', secret: 'full' } }, bindings: [] };
	assert.deepEqual(rowsOf(policy, 'reads'), [{ class: '*', level: 'none' }, { class: 'secret', level: 'full' }]);
	assert.deepEqual([rowsOf({}, 'reads'), rowsOf({ audit: {} }, 'reads'), rowsOf({ audit: 7 }, 'reads'), rowsOf({ audit: { reads: { a: 7 } } }, 'reads'), rowsOf({ audit: { reads: [7] } }, 'reads')],
		[[], [], [], null, null]);
	assert.deepEqual(withRow({ version: 1 }, 'reads', undefined, { class: 'domain', level: 'metadata' }), { version: 1, audit: { reads: { domain: 'metadata' } } });
	assert.deepEqual(withRow(policy, 'reads', 1, { class: 'secret', level: 'none' }).audit, { reads: { '*': 'none', secret: 'none' } });
	assert.deepEqual(withRow(policy, 'reads', 0, null).audit, { reads: { secret: 'full' } });
	assert.equal('audit' in withRow(withRow(policy, 'reads', 0, null), 'reads', 0, null), false);
	assert.deepEqual(policy.audit.reads, { '*': 'none', secret: 'full' });
	assert.deepEqual(fromForm({ class: 'domain', level: 'full' }, TABLES.reads.fields, {}), { class: 'domain', level: 'full' });
});

test('draft: how much is gained and lost', () => {
	const people = [{ changes: [{ change: 'gains' }, { change: 'loses' }] }, { changes: [{ change: 'loses' }, { change: 'changes' }] }];
	assert.equal(directionWords(people), '2 losses, 1 gain, 1 other change.');
	assert.equal(directionWords(people.slice(0, 1)), '1 loss, 1 gain.');
});

test('draft: cells, and the line of a mistake', () => {
	assert.deepEqual(['who', 'when', 'mode'].map((column) => cellText(POLICY.bindings[0], column)), ['group:ops', 'hours Mon-Fri 08:00-18:00; from 10.0.0.0/8, 192.0.2.7', '']);
	assert.deepEqual([lineRange('ab\ncd\nef', 2), lineRange('ab\ncd', 1), lineRange('ab', 9)], [[3, 5], [0, 2], [0, 2]]);
});

test('draft: a replay in words', () => {
	const answer = { decisions: 412, denied: 3, allowed: 2, noted: 0, otherwise: 1, by_rule: 2, unclear: 0, left_out: 0, complete: false, changes: [] };
	const words = replayWords(answer);
	assert.deepEqual([words.denied, words.allowed, words.noted, words.summary], ['3 would now be denied', '2 would now be allowed', '', '410 decisions looked at, 405 as today.']);
	assert.equal(words.notes.length, 2);
});
