// A draft of a policy: its text, its rows, and what a form makes of them. Pure.

const WIDTH = 120;
const PARTS = ['groups', 'sets', 'roles', 'bindings', 'admission', 'quotas', 'rules'];	// of which each member has a line of its own

// What a form shows of a row; what it does not know stays as it is. `list`: one a line; `inner`: inside of that member.
const WHO = [{ key: 'who', label: 'Who', list: true }, { key: 'except', label: 'Except', list: true }];
export const TABLES = {
	bindings: {
		title: 'Bindings', one: 'binding',
		fields: [
			{ key: 'id', label: 'Id' }, { key: 'role', label: 'Role', roles: true }, WHO[0], { key: 'on', label: 'On', list: true },
			{ key: 'from', label: 'Only from addresses', list: true, inner: 'when' }, { key: 'proof', label: 'Proven by', list: true, inner: 'when' },
			{ key: 'hours', label: 'Hours', inner: 'when' }, { key: 'until', label: 'Until', inner: 'when' },
			{ key: 'mode', label: 'Mode', choices: ['', 'enforce', 'permissive'] }, { key: 'description', label: 'Description' },
		],
		columns: ['id', 'who', 'role', 'on', 'when', 'mode'],
		fresh: { id: '', who: [], role: '', on: [] },
	},
	admission: {
		title: 'Admission', one: 'row of admission',
		fields: [
			{ key: 'id', label: 'Id' }, { key: 'profile', label: 'Profile', choices: ['baseline', 'restricted', 'privileged'] }, ...WHO,
			{ key: 'mode', label: 'Mode', choices: ['', 'enforce', 'warn', 'audit'] }, { key: 'description', label: 'Description' },
		],
		columns: ['id', 'profile', 'who', 'except', 'mode'],
		fresh: { id: '', profile: 'baseline' },
	},
	rules: {
		title: 'Rules', one: 'rule',
		fields: [
			{ key: 'id', label: 'Id' }, { key: 'class', label: 'Class', choices: ['domain', 'device', 'snapshot', 'checkpoint', 'backup', 'volume', 'secret'] },
			{ key: 'must', label: 'Must hold (XPath)' }, { key: 'must_not', label: 'Must not be there (XPath)' }, { key: 'message', label: 'Message' },
			{ key: 'hint', label: 'Hint' }, ...WHO, { key: 'mode', label: 'Mode', choices: ['', 'enforce', 'warn', 'audit'] }, { key: 'description', label: 'Description' },
		],
		columns: ['id', 'class', 'must', 'must_not', 'message', 'mode'],
		fresh: { id: '', class: 'domain', message: '' },
	},
};

const CLASSES = ['connect', 'domain', 'interface', 'network', 'network_port', 'node_device', 'nwfilter', 'nwfilter_binding', 'secret', 'storage_pool', 'storage_vol',
	'audit', 'session', 'policy'];
// An object in the policy, a row for each of its members: `path` leads there, `key` and `value` are what the members are called here.
TABLES.reads = {
	title: 'Reads', one: 'level', path: ['audit', 'reads'], key: 'class', value: 'level',
	about: 'What the audit trail is told of calls that only read, by the class of what they read; “*” is all that is not named. none: nothing, not even refusals. ' +
		'denied: refusals, which holds where nothing is said. metadata: who read what, too. full: and with which arguments. Changes are always recorded.',
	fields: [{ key: 'class', label: 'Class', choices: ['*', ...CLASSES] }, { key: 'level', label: 'Level', choices: ['none', 'denied', 'metadata', 'full'] }],
	columns: ['class', 'level'],
	fresh: { class: '*', level: 'denied' },
};

const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);

// ---- text ----

function oneLine(value) {
	if (Array.isArray(value))
		return `[${value.map(oneLine).join(', ')}]`;
	if (!isObject(value))
		return JSON.stringify(value);
	const members = Object.entries(value).map(([key, inner]) => `${JSON.stringify(key)}: ${oneLine(inner)}`);
	return members.length ? `{ ${members.join(', ')} }` : '{}';
}

function pretty(value, indent, open) {
	const line = oneLine(value);
	const empty = typeof value !== 'object' || value === null || Object.keys(value).length === 0;
	if (empty || (!open && indent.length + line.length <= WIDTH))
		return line;
	const deeper = indent + '  ';
	if (Array.isArray(value))
		return `[\n${value.map((inner) => deeper + pretty(inner, deeper, false)).join(',\n')}\n${indent}]`;
	return `{\n${Object.entries(value).map(([key, inner]) => `${deeper}${JSON.stringify(key)}: ${pretty(inner, deeper, indent === '' && PARTS.includes(key))}`)
		.join(',\n')}\n${indent}}`;
}

// A file that people can read: a row a line where it fits.
export function policyText(policy) {
	return pretty(policy, '', true) + '\n';
}

// The policy in a text, or null: then only its text can be edited.
export function readPolicy(text) {
	try {
		const policy = JSON.parse(text);
		return isObject(policy) ? policy : null;
	} catch {
		return null;
	}
}

// ---- rows ----

// The rows of a table; what is none there is shown as text only.
export function rowsOf(policy, table) {
	const { path, key, value } = TABLES[table] || {};
	const there = path ? path.reduce((object, member) => object?.[member], policy) : policy?.[table];
	const rows = path && isObject(there) && Object.values(there).every((inner) => typeof inner === 'string')
		? Object.entries(there).map(([name, inner]) => ({ [key]: name, [value]: inner })) : there;
	return rows === undefined ? [] : Array.isArray(rows) && rows.every(isObject) ? rows : null;
}

function withMembers(policy, { path: [outer, inner], key, value }, rows) {
	const next = { ...policy, [outer]: { ...policy[outer], [inner]: Object.fromEntries(rows.map((row) => [row[key], row[value]])) } };
	if (rows.length === 0)
		delete next[outer][inner];
	if (Object.keys(next[outer]).length === 0)
		delete next[outer];
	return next;
}

// The policy with a row put in place of another, at the end (index undefined), or taken out (row null). The one given stays as it was.
export function withRow(policy, table, index, row) {
	const rows = [...(rowsOf(policy, table) || [])];
	if (row === null)
		rows.splice(index, 1);
	else if (index === undefined)
		rows.push(row);
	else
		rows[index] = row;
	if (TABLES[table]?.path)
		return withMembers(policy, TABLES[table], rows);
	const next = { ...policy, [table]: rows };
	if (rows.length === 0 && table !== 'bindings')
		delete next[table];
	return next;
}

const listText = (value) => (Array.isArray(value) ? value.join('\n') : value === undefined ? '' : String(value));

function place(row, { key, inner }) {
	return inner ? row[inner]?.[key] : row[key];
}

// What stands in a cell.
export function cellText(row, column) {
	const value = row[column];
	if (column === 'when')
		return isObject(value) ? Object.entries(value).map(([key, inner]) => `${key} ${listText(inner).replaceAll('\n', ', ')}`).join('; ') : '';
	return Array.isArray(value) ? value.join(', ') : value === undefined ? '' : isObject(value) ? oneLine(value) : String(value);
}

// Texts for the form: by the name of each field; `more`: the other members, as JSON.
export function toForm(row, fields) {
	const form = Object.fromEntries(fields.map((field) => [field.key, listText(place(row, field))]));
	const more = { ...row };
	for (const { key, inner } of fields)
		if (!inner)
			delete more[key];
		else if (isObject(more[inner])) {
			more[inner] = { ...more[inner] };
			delete more[inner][key];
			if (Object.keys(more[inner]).length === 0)
				delete more[inner];
		}
	form.more = Object.keys(more).length ? oneLine(more) : '';
	return form;
}

// A row of what the form says, members in the order that the row had before; an Error when `more` is no JSON object.
export function fromForm(form, fields, before = {}) {
	const more = form.more?.trim() ? readPolicy(form.more) : {};
	if (more === null)
		throw new Error('The other members are no JSON object.');
	const said = {};
	for (const { key, list, inner } of fields) {
		const text = (form[key] ?? '').trim();
		const value = list ? text.split('\n').map((line) => line.trim()).filter(Boolean) : text;
		if (value.length === 0)
			continue;
		if (inner)
			said[inner] = { ...said[inner], [key]: value };
		else
			said[key] = value;
	}
	for (const [key, value] of Object.entries(more))
		said[key] = isObject(said[key]) && isObject(value) ? { ...said[key], ...value } : said[key] ?? value;
	const keys = [...Object.keys(before).filter((key) => key in said), ...Object.keys(said).filter((key) => !(key in before))];
	return Object.fromEntries(keys.map((key) => [key, said[key]]));
}

// ---- what came of it ----

export function countOf(number, one, many = `${one}s`) {
	return `${number} ${number === 1 ? one : many}`;
}

// How much there is of each kind, above the rows.
export function directionWords(people) {
	const number = (kind) => people.reduce((sum, { changes }) => sum + changes.filter(({ change }) => change === kind).length, 0);
	return [['loses', 'loss', 'losses'], ['gains', 'gain'], ['changes', 'other change']].filter(([kind]) => number(kind))
		.map(([kind, ...names]) => countOf(number(kind), ...names)).join(', ') + '.';
}

// What is to be said of a replay, above its rows.
export function replayWords(answer) {
	const turned = answer.denied + answer.allowed + answer.noted;
	const looked = answer.decisions - answer.by_rule - answer.unclear;
	return {
		denied: answer.denied ? `${answer.denied} would now be denied` : '',
		allowed: answer.allowed ? `${answer.allowed} would now be allowed` : '',
		noted: answer.noted ? `${answer.noted} would be let through as before, but recorded otherwise` : '',
		summary: `${countOf(looked, 'decision')} looked at, ${looked - turned} as today.`,
		notes: [
			answer.left_out ? `${answer.left_out} more of them are not shown.` : '',
			answer.by_rule ? `${answer.by_rule} decided by the content of an XML document are left out: documents are not in the trail.` : '',
			answer.unclear ? `${answer.unclear} do not say which permission they were about.` : '',
			answer.complete ? '' : 'It took too long to look at all of them: these are the newest.',
		].filter(Boolean),
	};
}

// Where a line of the text begins and ends, for selecting it.
export function lineRange(text, line) {
	const lines = text.split('\n').slice(0, Math.max(1, line));
	const end = lines.join('\n').length;
	return [end - lines.at(-1).length, end];
}
