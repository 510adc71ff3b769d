// Rules by hand: what finds mistakes, nothing about taste that the house rules do not say.
const browser = ['document', 'window', 'location', 'fetch', 'console', 'confirm', 'navigator', 'setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'addEventListener',
	'dispatchEvent', 'Event', 'CustomEvent', 'EventSource', 'AbortController', 'TextEncoder', 'TextDecoder', 'WebSocket', 'FormData', 'URLSearchParams', 'CSS', 'ImageData', 'createImageBitmap', 'innerHeight', 'performance', 'sessionStorage', 'Blob', 'URL',
	'requestAnimationFrame', 'cancelAnimationFrame'];
const node = ['process', 'console', 'Buffer', 'URL', 'URLSearchParams', 'setTimeout', 'clearTimeout', 'fetch', 'WebSocket'];
const globals = (names) => Object.fromEntries(names.map((name) => [name, 'readonly']));
const rules = {
	'array-callback-return': 'error', 'consistent-this': 'error', 'constructor-super': 'error', eqeqeq: 'error',
	'for-direction': 'error', 'getter-return': 'error', 'no-async-promise-executor': 'error', 'no-case-declarations': 'error', 'no-class-assign': 'error',
	'no-const-assign': 'error', 'no-constant-condition': 'error', 'no-dupe-args': 'error', 'no-dupe-keys': 'error', 'no-duplicate-case': 'error', 'no-empty': 'error',
	'no-eval': 'error', 'no-implied-eval': 'error', 'no-new-func': 'error', 'no-redeclare': 'error', 'no-script-url': 'error', 'no-self-compare': 'error',
	'no-undef': 'error', 'no-unreachable': 'error', 'no-unused-vars': 'error', 'no-use-before-define': ['error', { functions: false, classes: false, variables: false }],
	'no-var': 'error', 'prefer-const': 'error', 'use-isnan': 'error', 'valid-typeof': 'error',
	// Text never becomes markup.
	'no-restricted-properties': ['error', ...['innerHTML', 'outerHTML', 'insertAdjacentHTML'].map((property) => ({ property })), { object: 'document', property: 'write' }],
};

export default [
	{ files: ['pages/*.js'], languageOptions: { ecmaVersion: 2023, sourceType: 'module', globals: globals(browser.concat('CSS')) }, rules },
	{ files: ['*.mjs', 'tests/*.mjs'], languageOptions: { ecmaVersion: 2023, sourceType: 'module', globals: globals(node) }, rules },
];
