// The gateway's REST interface. Every change carries the token that log-in gave; a 401 ends the page's log-in at once.
import { ApiError } from './errors.js';

let token = '';
let onLoggedOut = () => {};

export function setLoggedOut(callback) {
	onLoggedOut = callback;
}

export function setToken(csrf) {
	token = csrf || '';
}

export async function call(method, path, body) {
	const headers = {};
	if (method !== 'GET')
		headers['X-Auth-Token'] = token;
	if (method === 'POST')
		headers['Content-Type'] = 'application/json';
	const response = await fetch('/api/v1' + path, { method, headers, credentials: 'same-origin', cache: 'no-store', redirect: 'error',
		body: method === 'POST' ? JSON.stringify(body || {}) : undefined });
	if (response.ok)
		return response;
	const json = await response.json().catch(() => ({}));
	const error = new ApiError(response.status, json.error);
	if (response.status === 401 && path !== '/login' && path !== '/me')
		onLoggedOut();
	throw error;
}

export const get = async (path) => (await call('GET', path)).json();
export const post = async (path, body) => (await call('POST', path, body)).json();
export const remove = async (path) => (await call('DELETE', path)).json();
