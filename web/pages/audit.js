// The trail: a time line with filters, one record's page, the state of the chain, export.
import { get } from './api.js';
import { describe } from './errors.js';
import { block, failure, field, fill, h } from './dom.js';
import { diffLines } from './diff.js';
import { FILTERS, outsideMark, parseFilters, toFragment, toQuery } from './filters.js';
import { dateTime, micros } from './time.js';

const PAGE = 100;
const STATE_EVERY = 2000;	// ms, while it is being checked
const RESULT = { ok: 'good', error: 'warn', denied: 'bad', unknown: 'warn' };

function objectText(object) {
	return object?.class ? `${object.class} ${object.name ?? object.uuid ?? ''}`.trim() : '';
}

function resultTag(record) {
	const status = record.result?.status ?? (record.stage === 'intent' ? 'intent' : '');
	const verdict = record.decision?.verdict;
	return [status && h('span', { class: `tag ${RESULT[status] || ''}` }, status), verdict === 'would-deny' && h('span', { class: 'tag warn' }, 'would be denied')];
}

function outsideTag(record) {
	const mark = outsideMark(record);
	return mark ? h('span', { class: `tag ${mark.kind}` }, mark.label) : null;
}

function row(record) {
	return h('tr', {}, h('td', { class: 'mono', 'data-label': 'Time' }, dateTime(record.time)),
		h('td', { 'data-label': 'Who' }, record.user?.name ?? '', outsideTag(record)),
		h('td', { 'data-label': 'What' }, h('a', { href: `#/audit/${encodeURIComponent(record.op || record.seq)}` }, record.event || record.code)),
		h('td', { 'data-label': 'Object' }, objectText(record.object)), h('td', { 'data-label': 'Result' }, resultTag(record)));
}

async function showState(box) {
	try {
		const state = await get('/audit/state');
		if (state.state === 'whole')
			fill(box, h('p', { class: 'note good' }, `The chain is whole: ${state.records} records, checked ${dateTime(state.checked_at)}.`));
		else if (state.state === 'broken')
			fill(box, h('p', { class: 'note bad' }, `The chain is BROKEN at record ${state.first_bad}: ${state.why}`));
		else {
			fill(box, h('p', { class: 'note' }, 'The chain is being checked …'));
			setTimeout(() => { if (box.isConnected) showState(box); }, STATE_EVERY);
		}
	} catch (error) {
		fill(box, h('p', { class: 'note warn' }, `State of the chain: ${describe(error)}`));
	}
}

function showList(main, query) {
	const filters = parseFilters(query);
	const state = h('div', { role: 'status' });
	const body = h('tbody', {});
	const below = h('div', { class: 'quiet below', role: 'status' }, 'Searching …');
	const inputs = FILTERS.map(({ key, label, type, choices }) => {
		const input = choices ? h('select', { name: key }, choices.map((choice) => h('option', { value: choice }, choice || 'any')))
			: h('input', { name: key, type: type || 'text', step: type ? '1' : null });
		input.value = filters[key] || '';
		return field(label, input);
	});
	const submit = (event) => {
		event.preventDefault();
		location.hash = toFragment(Object.fromEntries(new FormData(event.target)));
	};
	let before;
	const more = async () => {
		try {
			const answer = await get('/audit?' + toQuery(filters, { limit: PAGE, ...(before ? { before } : {}) }));
			body.append(...answer.records.map(row));
			before = answer.records.at(-1)?.seq;
			fill(below, answer.more ? h('button', { onclick: more }, 'Show older records') : body.childElementCount ? 'No older records.' : 'No record matches.');
		} catch (error) {
			fill(below, failure(describe(error), more));
		}
	};
	fill(main, h('div', { class: 'head' }, h('h1', {}, 'Audit'), h('span', { class: 'grow' }), h('span', { class: 'quiet' }, 'Export:'),
		['jsonl', 'cef', 'ocsf', 'rfc5424'].map((format) => h('a', { href: `/api/v1/audit/export?${toQuery(filters, { format })}`, download: `audit.${format}` }, format))),
	state, h('form', { class: 'filters', onsubmit: submit }, inputs, h('button', { class: 'primary', type: 'submit' }, 'Search'),
		h('a', { class: 'button', href: '#/audit' }, 'Clear')),
	h('div', { class: 'panel scroll' }, h('table', { class: 'stack' }, h('thead', {}, h('tr', {}, ['Time', 'Who', 'What', 'Object', 'Result'].map((name) => h('th', {}, name)))), body)), below);
	showState(state);
	more();
}

function facts(pairs) {
	return h('dl', {}, pairs.filter(([, value]) => value !== undefined && value !== null && value !== '').flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]));
}

function oneRecord(record) {
	return h('section', { class: 'panel pad' }, h('h2', {}, `${record.event || ''} · ${record.stage}`, ' ', resultTag(record)),
		outsideMark(record) ? h('p', { class: `note ${outsideMark(record).kind}` }, outsideMark(record).meaning) : null,
		facts([['Time', dateTime(record.time)], ['Record', String(record.seq)], ['Operation', record.op], ['Code', record.code], ['Who', record.user?.name],
			['Certificate', record.user?.x509], ['From', record.source?.address && `${record.source.address} (${record.source.via})`], ['Session', record.session],
			['Call', record.call], ['Object', objectText(record.object)], ['UUID', record.object?.uuid], ['Verdict', record.decision?.verdict],
			['Permissions', record.decision?.permissions?.join(', ')], ['Binding', record.decision?.binding], ['Rule', record.decision?.rule],
			['Result', record.result?.message], ['Took', micros(record.duration_us)], ['Hash', record.hash && h('span', { class: 'mono' }, record.hash)]]),
		record.args ? [h('h2', {}, 'Arguments'), block('Arguments', { class: 'scroll' }, JSON.stringify(record.args, null, 2))] : null,
		record.diff ? [h('h2', {}, 'Difference'), block('Difference', { class: 'diff' }, diffLines(typeof record.diff === 'string' ? record.diff : JSON.stringify(record.diff, null, 2))
			.map(({ kind, text }) => h('span', { class: kind }, text || ' ')))] : null);
}

async function showRecord(main, id) {
	const back = h('p', {}, h('a', { href: '#/audit' }, '← All records'));
	try {
		const { records } = await get(`/audit/${encodeURIComponent(id)}`);
		fill(main, back, h('div', { class: 'head' }, h('h1', {}, `Record ${id}`)), records.length ? records.map(oneRecord) : h('p', {}, 'There is no such record.'));
	} catch (error) {
		fill(main, back, failure(describe(error), () => showRecord(main, id)));
	}
}

export function show(main, route) {
	if (route.id)
		showRecord(main, route.id);
	else
		showList(main, route.query);
}
