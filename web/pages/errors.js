// What went wrong, in words for people. Pure.

export class ApiError extends Error {
	constructor(status, error = {}) {
		super(error.message || `the gateway answered with ${status}`);
		Object.assign(this, { status, code: error.code, permission: error.permission, object: error.object, decision: error.decision,
			certificate: error.certificate_offered });
	}
}

export function describe(error) {
	if (!(error instanceof ApiError))
		return 'The gateway cannot be reached. Check your network, then try again.';
	if (error.permission)
		return `Not permitted: you lack ${error.permission} on ${error.object || 'this object'}.` + (error.decision ? ` Decision ${error.decision}.` : '');
	if (error.status === 401)
		return 'You are not logged in any more.';
	if (error.status === 404)
		return 'This does not exist, or you may not see it.';
	if (error.status === 429)
		return 'Too many attempts. Wait a little, then try again.';
	return error.message;
}
