// What the gateway tells by itself: one stream from log-in to log-out, for whatever page is shown. It becomes events of the window: virtgate-guest and
// virtgate-gone (detail: the guest), virtgate-rights, virtgate-updates (detail: true when they come, false while they do not, or why they have ended).

const RETRY = 10000;	// ms
let source = null;

function tell(name, detail) {
	dispatchEvent(new CustomEvent(`virtgate-${name}`, { detail }));
}

export function begin() {
	end();
	source = new EventSource('/api/v1/events');
	for (const name of ['guest', 'gone', 'rights'])
		source.addEventListener(name, (event) => tell(name, JSON.parse(event.data)));
	source.addEventListener('end', (event) => tell('updates', JSON.parse(event.data).reason));
	source.onopen = () => tell('updates', true);
	source.onerror = ({ target }) => {
		tell('updates', false);
		// A browser comes again by itself when the network was lost, but not when it was refused.
		if (target.readyState === EventSource.CLOSED)
			setTimeout(() => { if (source === target) begin(); }, RETRY);
	};
}

export function end() {
	source?.close();
	source = null;
}
