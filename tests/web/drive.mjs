// Drives the page in Chromium for tests/integration/test_page.py: a request per line of standard input, an answer per
// line of standard output, both JSON. A request is {"do": NAME, ...}.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const [executablePath, ...args] = process.argv.slice(2);
const PATIENCE = 120_000; // ms; the machine may be busy
const problems = []; // whatever the page complains of
let requests = [];
let said = []; // on the console, and requests that failed; for the sentence about what did not become true

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", ...args] });
let page;

const unlessAbsent = (error) => {
  if (!/Cannot read properties of (null|undefined)/.test(error.message)) throw error;
};

const act = {
  async open({ url, width = 1280, height = 900, theme = "light", motion = "no-preference", known = true }) {
    await page?.context().close();
    const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, reducedMotion: motion });
    await context.grantPermissions(["microphone", "clipboard-read", "clipboard-write"]);
    page = await context.newPage();
    page.setDefaultTimeout(PATIENCE);
    said = [];
    requests = [];
    page.on("requestfailed", (request) => said.push(`${request.url()}: ${request.failure()?.errorText}`));
    page.on("pageerror", (error) => problems.push(String(error)));
    page.on("console", (message) => {
      said.push(message.text());
      if (message.type() === "error" && /Content Security Policy|TypeError|SyntaxError/.test(message.text())) problems.push(message.text());
    });
    page.on("request", (request) => requests.push(request.url()));
    await page.goto(url);
    if (known) await act.until({ holds: "store.known" });
  },
  /** Wait until an expression over `earmark` (the page's state) holds, and return its value. What is not drawn yet is null. */
  async until({ holds }) {
    for (const end = Date.now() + PATIENCE; ; await new Promise((resolve) => setTimeout(resolve, 50))) {
      const found = await act.value({ of: holds }).catch(unlessAbsent);
      if (found) return found;
      if (Date.now() > end) throw new Error(`it did not become true: ${holds}; ${await act.state()}`);
    }
  },
  /** Wait until the page shows what it knows: it draws in an animation frame, 100 ms after the last at the latest (app.js). */
  drawn: () => page.evaluate(() => new Promise((done) => setTimeout(() => requestAnimationFrame(done), 100))),
  /** What may tell why something did not become true. */
  async state() {
    const connection = await act.value({ of: "JSON.stringify(store.connection ?? 'the page has not begun')" });
    return `connection: ${connection}; said: ${said.slice(-5).join(" | ") || "nothing"}`;
  },
  value: ({ of }) => page.evaluate(`(() => { const { store, view, stream } = globalThis.earmark ?? { store: {} }; return ${of} })()`),
  click: ({ on }) => page.locator(on).first().click(),
  fill: ({ on, value }) => page.locator(on).first().fill(value),
  press: ({ key }) => page.keyboard.press(key),
  text: ({ of }) => page.locator(of).first().innerText(),
  /** Drag the line of the threshold `on` in the chart to another score. */
  async drag({ from, to }) {
    const over = page.locator("score-chart .u-over");
    await over.scrollIntoViewIfNeeded();
    const { x, y, width, height } = await over.boundingBox();
    const at = (score) => y + height * (1 - score / 1.02);
    await page.mouse.move(x + width / 3, at(from));
    await page.mouse.down();
    await page.mouse.move(x + width / 3, at((from + to) / 2), { steps: 4 });
    await page.mouse.move(x + width / 3, at(to), { steps: 4 });
    await page.mouse.up();
  },
  /** Click in a canvas at a place that the page's state tells: {from, y} in px. */
  async touch({ on, place }) {
    const { from, y } = await act.value({ of: place });
    await page.locator(on).click({ position: { x: from + 5, y: y + 8 } });
  },
  /** The text of the file that a click downloads. */
  async download({ on }) {
    const [file] = await Promise.all([page.waitForEvent("download"), page.locator(on).first().click()]);
    return readFileSync(await file.path(), "utf8");
  },
  /** The serious complaints of axe-core, as `rule: selector`. It is evaluated by the debugger, which no CSP binds. */
  async axe() {
    await page.evaluate(readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8"));
    const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
    const serious = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
    return serious.flatMap(({ id, nodes }) => nodes.slice(0, 3).map(({ target, failureSummary }) => `${id}: ${target} ${failureSummary.split("\n")[1] ?? ""}`));
  },
  /** How wide the page is beyond its window, in px. */
  overhang: () => page.evaluate(() => document.documentElement.scrollWidth - innerWidth),
  /** Over some seconds: times between frames in ms, the heap in MB, and the share of time that the main thread works. */
  async frames({ seconds }) {
    const session = await page.context().newCDPSession(page);
    await session.send("Performance.enable");
    const measure = async () => {
      await session.send("HeapProfiler.collectGarbage");
      const { metrics } = await session.send("Performance.getMetrics");
      return Object.fromEntries(metrics.map(({ name, value }) => [name, value]));
    };
    const before = await measure();
    const times = await page.evaluate((ms) => new Promise((resolve) => {
      const found = [];
      let last = performance.now();
      const end = last + ms;
      const step = (now) => {
        found.push(now - last);
        last = now;
        if (now < end) requestAnimationFrame(step);
        else resolve(found);
      };
      requestAnimationFrame(step);
    }), seconds * 1000);
    times.sort((one, other) => one - other);
    const at = (share) => times[Math.floor((times.length - 1) * share)];
    const after = await measure();
    const busy = (after.TaskDuration - before.TaskDuration) / (after.Timestamp - before.Timestamp);
    return { frames: times.length, median: at(0.5), p95: at(0.95), p99: at(0.99), heap: after.JSHeapUsedSize / 1e6, busy };
  },
  shot: ({ path, whole = false }) => page.screenshot({ path, fullPage: whole }).then(() => null),
  problems: () => problems,
  requests: () => requests,
};

const LOOKS = ["axe", "overhang", "press", "shot", "text", "touch", "value"]; // they do not wait for what they look at

for await (const line of createInterface({ input: process.stdin })) {
  const { do: name, ...given } = JSON.parse(line);
  let answer;
  try {
    if (LOOKS.includes(name)) await act.drawn();
    answer = { value: (await act[name](given)) ?? null };
  } catch (error) {
    answer = { error: String(error.message ?? error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
