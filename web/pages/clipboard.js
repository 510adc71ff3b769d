// A console's panel for text: what is on the guest's clipboard, and what goes onto it; each only where it is permitted. Beside the browser's own clipboard,
// which it gives only to some pages, and only when asked.
import { field, fill, h, toast } from './dom.js';
import { boundedText } from './text.js';

let number = 0;

// send(text) puts a text onto the guest's clipboard. { button, element, heard(text), allow({ copies, sends }) }.
export function clipboardPanel(send) {
	const id = `clipboard-${++number}`;
	const fromGuest = h('textarea', { rows: 4, readonly: true, placeholder: 'Nothing was copied in the guest yet.' });
	const toGuest = h('textarea', { rows: 4 });
	const news = h('p', { class: 'quiet', role: 'status' });
	const copy = h('button', { onclick: () => navigator.clipboard.writeText(fromGuest.value).then(() => toast('The text of the guest is on your clipboard.'),
		() => { fromGuest.select(); toast('The browser did not take the text: copy what is selected.', true); }) }, 'Copy');
	const element = h('section', { id, class: 'clipboard', 'aria-label': 'Clipboard', hidden: true });
	const button = h('button', { 'aria-expanded': 'false', 'aria-controls': id, onclick: () => {
		element.hidden = !element.hidden;
		button.setAttribute('aria-expanded', !element.hidden);
		button.classList.remove('fresh');
		button.removeAttribute('aria-label');
	} }, 'Clipboard');
	const sendIt = () => {
		const { text, cut } = boundedText(toGuest.value);
		if (cut)
			return toast('The text is too long for a guest’s clipboard.', true);
		return send(text);
	};
	return {
		button, element,
		heard(received) {
			const { text, cut } = boundedText(received);
			fromGuest.value = text;
			fill(news, `${text.length} characters came from the guest${cut ? ', and more that is left out' : ''}.`);
			if (element.hidden) {
				button.classList.add('fresh');
				button.setAttribute('aria-label', 'Clipboard, with a new text from the guest');
			}
		},
		allow({ copies, sends }) {
			button.hidden = !copies && !sends;
			if (button.hidden)
				element.hidden = true;
			fill(element, copies && h('div', {}, field('From the guest', fromGuest), news, copy),
				sends && h('div', {}, field('For the guest', toGuest), h('button', { onclick: sendIt }, 'Send to the guest')));
		},
	};
}
