// The one place that knows which library draws the page.
import htm from "../vendor/htm.mjs";
import { Fragment, h, render } from "../vendor/preact.mjs";

export { useEffect, useLayoutEffect, useRef, useState } from "../vendor/preact-hooks.mjs";
export { batch, computed, effect, signal, useComputed, useSignal } from "../vendor/signals.mjs";
export { Fragment, render };
export const html = htm.bind(h);
