// A unified diff, line by line with what each line is. Pure.

const MAX_LINES = 5000;

export function diffLines(text) {
	const lines = String(text || '').replace(/\n$/, '').split('\n');
	const kinds = lines.slice(0, MAX_LINES).map((line) => {
		if (line.startsWith('@@') || line.startsWith('--- ') || line.startsWith('+++ '))
			return { kind: 'hunk', text: line };
		return { kind: line[0] === '+' ? 'add' : line[0] === '-' ? 'del' : 'same', text: line };
	});
	if (lines.length > MAX_LINES)
		kinds.push({ kind: 'hunk', text: `… ${lines.length - MAX_LINES} more lines` });
	return kinds;
}
