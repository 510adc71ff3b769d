// The part of the address behind "#/". Pure.

// "#/audit/01JD?user=x" -> { page: 'audit', id: '01JD', query: 'user=x' }
export function parseRoute(hash) {
	const [path, query = ''] = hash.replace(/^#\/?/, '').split('?', 2);
	const [page, id] = path.split('/');
	let decoded;
	try {
		decoded = id ? decodeURIComponent(id) : '';
	} catch {
		decoded = '';
	}
	return { page: page || 'guests', id: decoded, query };
}
