// The head of the page: the truth about the connection, and the theme.

import { html, nothing } from "../vendor/lit-html.js";
import { connection, t } from "../words.js";

export function header(page) {
  const { store, stream, theme } = page;
  const silent = stream.silentFor(Date.now());
  const state = { ...store.connection, behind: stream.behind };
  const { tone, text } = connection(state, silent, stream.stale);
  return html`
    <header class="top">
      <h1 class="brand">${logo} <span>Earmark</span></h1>
      <p class="pill ${tone}" role="status"><i aria-hidden="true"></i>${text}</p>
      <span class="space"></span>
      ${tone === "bad" ? html`<button class="quiet" @click=${() => stream.subscription.retry()}>${t("retry")}</button>` : nothing}
      <button class="quiet icon" title=${t("token.button")} aria-label=${t("token.button")} @click=${() => open(page)}>${key}</button>
      <button class="quiet theme" @click=${page.nextTheme} aria-label=${t("theme", { theme: t(`theme.${theme}`) })}>
        ${glyphs[theme]}<span>${t(`theme.${theme}`)}</span>
      </button>
    </header>
  `;
}

function open(page) {
  page.view.token = true;
  page.draw();
}

const logo = html`<svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
  <rect width="32" height="32" rx="9" class="logo-back" />
  <path class="logo-line" d="M8 16v0M12.5 11v10M17 7.5v17M21.5 12.5v7M26 15v2" />
</svg>`;
const icon = (path) => html`<svg class="glyph" viewBox="0 0 20 20" width="18" height="18" aria-hidden="true">${path}</svg>`;
const key = icon(html`<svg viewBox="0 0 20 20"><circle cx="7" cy="13" r="3.5" /><path d="M9.5 10.5 16 4m-2.5 2.5 2.5 2.5" /></svg>`);
const glyphs = {
  auto: icon(html`<svg viewBox="0 0 20 20"><circle cx="10" cy="10" r="6.5" /><path class="fill" d="M10 3.5a6.5 6.5 0 0 1 0 13z" /></svg>`),
  light: icon(html`<svg viewBox="0 0 20 20"><circle cx="10" cy="10" r="3.5" /><path d="M10 2v2m0 12v2M2 10h2m12 0h2M4.5 4.5l1.3 1.3m8.4 8.4 1.3 1.3m0-11-1.3 1.3m-8.4 8.4-1.3 1.3" /></svg>`),
  dark: icon(html`<svg viewBox="0 0 20 20"><path d="M16 11.5A6.5 6.5 0 0 1 8.5 4a6.5 6.5 0 1 0 7.5 7.5z" /></svg>`),
};
