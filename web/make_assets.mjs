// Makes the C file of the browser's files: bundles web/pages with esbuild, names each file by its content, compresses it.
// usage: node make_assets.mjs PAGES NODE_MODULES OUT.c     The same input gives the same bytes.
import { createHash } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';

const [pages, modules, out] = process.argv.slice(2);
if (!out) {
	console.error('usage: make_assets.mjs PAGES NODE_MODULES OUT.c');
	process.exit(2);
}
const esbuild = createRequire(join(resolve(modules), 'x.js'))('esbuild');

async function bundle(name) {
	const result = await esbuild.build({
		entryPoints: [join(resolve(pages), name)],
		nodePaths: [resolve(modules)],
		bundle: true, write: false, minify: true, format: 'esm', target: 'es2022', legalComments: 'inline', charset: 'utf8', logLevel: 'warning',
	});
	return Buffer.from(result.outputFiles[0].contents);
}

function hash(bytes) {
	return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}

function asset(path, type, bytes, hashed) {
	const gzip = gzipSync(bytes, { level: 9 });
	gzip[9] = 255;	// the system it was made on: unknown, so that every system makes the same
	return { path, type, etag: `"${hash(bytes)}"`, gzip, hashed };
}

function named(name, ext, type, bytes) {
	return asset(`/assets/${name}.${hash(bytes)}.${ext}`, type, bytes, true);
}

function c_bytes(bytes) {
	const lines = [];
	for (let i = 0; i < bytes.length; i += 24)
		lines.push('\t' + [...bytes.subarray(i, i + 24)].map((byte) => byte + ',').join(''));
	return lines.join('\n');
}

const js = named('app', 'js', 'text/javascript; charset=utf-8', await bundle('app.js'));
const css = named('app', 'css', 'text/css; charset=utf-8', await bundle('app.css'));
const icon = named('icon', 'svg', 'image/svg+xml', await readFile(join(pages, 'icon.svg')));
const html = (await readFile(join(pages, 'index.html'), 'utf8'))
	.replace('app.js', js.path).replace('app.css', css.path).replace('icon.svg', icon.path);
const assets = [asset('/', 'text/html; charset=utf-8', Buffer.from(html), false), js, css, icon];

const text = `/* Made by web/make_assets.mjs from web/pages. */
#include "web/assets.h"

${assets.map((a, i) => `static const uint8_t file_${i}[] = {\n${c_bytes(a.gzip)}\n};`).join('\n\n')}

const struct web_asset web_assets[] = {
${assets.map((a, i) => `\t{ ${JSON.stringify(a.path)}, ${JSON.stringify(a.type)}, ${JSON.stringify(a.etag)}, file_${i}, sizeof(file_${i}), ${a.hashed} },`).join('\n')}
};
const size_t web_num_assets = sizeof(web_assets) / sizeof(web_assets[0]);
`;
await writeFile(out + '.new', text);
await rename(out + '.new', out);
