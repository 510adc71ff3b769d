// Elements without a framework. Text is always text: nothing here takes markup.

// h('td', { class: 'num', onclick: f }, child, …): children that are null or false are left out.
export function h(name, options = {}, ...children) {
	const element = document.createElement(name);
	for (const [key, value] of Object.entries(options)) {
		if (value === undefined || value === null || value === false)
			continue;
		if (key.startsWith('on'))
			element.addEventListener(key.slice(2), value);
		else if (key === 'value')
			element.value = value;
		else
			element.setAttribute(key, value === true ? '' : value);
	}
	element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
	return element;
}

export function fill(element, ...children) {
	element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
}

// A message that stays until it is closed when it is bad, else eight seconds.
export function toast(text, bad = false) {
	const close = h('button', { 'aria-label': 'Close this message', onclick: () => box.remove() }, '×');
	const box = h('div', { class: bad ? 'toast bad' : 'toast' }, h('span', {}, text), close);
	document.getElementById('toasts').append(box);
	if (!bad)
		setTimeout(() => box.remove(), 8000);
}

// What went wrong in the place of what was to be there, and another attempt.
export function failure(text, again) {
	return h('p', { class: 'note bad', role: 'alert' }, text, ' ', h('button', { onclick: again }, 'Try again'));
}

// Text that is wider than its place can be moved by the keyboard, too.
export function block(label, options, ...children) {
	return h('pre', { tabindex: '0', role: 'group', 'aria-label': label, ...options }, ...children);
}

export function field(label, input) {
	return h('label', { class: 'field' }, label, input);
}
