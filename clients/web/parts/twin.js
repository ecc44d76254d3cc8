// A table beside a canvas, with the same content. It is made when somebody opens it.

import { html, nothing } from "../vendor/lit-html.js";
import { t } from "../words.js";

export function twin(page, name, table) {
  const open = page.view.twins.has(name);
  const toggled = (event) => {
    if (event.target.open === open) return;
    page.view.twins[event.target.open ? "add" : "delete"](name);
    page.draw();
  };
  return html`<details class="twin" ?open=${open} @toggle=${toggled}><summary>${t("twin")}</summary>${open ? table() : nothing}</details>`;
}
