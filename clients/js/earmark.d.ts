// Types of the JavaScript client. The events are described in docs/protocol.md.

export type SourceState =
  | "starting" | "listening" | "quiet" | "muted" | "clipping" | "stalled" | "lost" | "stopped" | "paused";

export interface Score { score: number; label: string }
export interface SourceInfo { name: string; state: SourceState; device?: string; rate?: number; detail?: string }
export interface ClassifierInfo {
  name: string; model: string; labels: string[]; sources: string[]; gate: string; mode: "utterance" | "sliding";
  window: number; hop: number; ends_in: "on" | "off"; clips: string[];
  /** There where the model takes its labels at run time. */
  label_set?: { labels: string[]; background: string[]; template: string };
}
interface Numbered { seq: number; time: string; source: string }
interface Placed { start: number; end: number; start_time?: string; end_time?: string }
export interface Hello {
  type: "hello"; version: string; epoch: string; seq: number; oldest: number;
  sources: SourceInfo[]; classifiers: ClassifierInfo[];
}
export interface Result extends Numbered, Placed {
  type: "result"; classifier: string; final?: boolean; lag?: number; result?: Score[]; suppressed?: string;
  unconfirmed?: ({ label: string } & SecondLook)[];
}
export interface Why { raw: number; smoothed: number; threshold: number; hits: number; needed: number; gate: string;
  /** Where the label is a group: the member with the highest score in the newest window. */
  member?: Score;
  /** The second look that confirmed the label, if it needed one. */
  second?: SecondLook }
/** What another model said of a label in the same window. */
export interface SecondLook { model: string; score: number; threshold: number }
export interface Label extends Numbered {
  type: "label"; classifier: string; id: string; label: string; state: "on" | "off"; start: number; end?: number;
  score?: number; peak?: number; reason?: string; why?: Why; lag?: number; start_time?: string; end_time?: string;
  /** The path of its sound, if that is kept. */
  clip?: string;
}
export interface Source extends Numbered { type: "source"; state: SourceState; detail?: string; device?: string }
export interface Loss extends Numbered, Placed { type: "loss"; cause: string; classifier?: string }
export interface Config {
  type: "config"; seq: number; time: string; classifiers: ClassifierInfo[]; sources: SourceInfo[]; cause: string;
}
/** `to` is null where the daemon did not know the position at all. */
export interface Gap { type: "gap"; from: number; to: number | null; cause: "slow" | "too_old" | "epoch" }
export interface Level {
  type: "level"; source: string; time: string; db: number; peak_db: number; floor_db: number;
  gates: Record<string, { open: boolean; value?: number; threshold?: number }>;
}
export interface Tick { type: "tick"; seq: number; time: string }
export interface Subscribed { type: "subscribed"; seq: number }
export interface Problem { type: "error"; error: string }
/** A client ignores types that it does not know: leave a default branch. */
export type EarmarkEvent =
  | Hello | Result | Label | Source | Loss | Config | Gap | Level | Tick | Subscribed | Problem;

export interface Filter {
  sources?: string[]; classifiers?: string[]; types?: string[]; labels?: string[];
  min_score?: number; top_k?: number; every?: number; policy?: "oldest" | "latest" | "close"; shape?: "event" | "api";
}
export interface ConnectionState {
  state: "connecting" | "connected" | "waiting" | "refused" | "closed";
  /** When the state began, in ms since 1970. */
  since: number;
  error: string;
  status: number;
  /** Events that are still to be replayed. */
  behind: number;
}
export interface SubscribeOptions {
  onEvent?: (event: EarmarkEvent) => void;
  onState?: (state: ConnectionState) => void;
  /** `EPOCH:SEQ`: everything after it is sent first. */
  since?: string | null;
  /** ms without a message after which the connection is given up. */
  staleAfter?: number;
  random?: () => number;
  now?: () => number;
}
export interface HistoryParameters extends Filter {
  from?: Date | string; to?: Date | string; since?: string; cursor?: string; limit?: number;
}
export interface HistoryPage { epoch: string; oldest: number; events: EarmarkEvent[]; next: string | null }

export class EarmarkError extends Error {
  readonly status: number;
  readonly retryAfter: number | null;
}
export class Subscription {
  /** Where a later subscription can go on. */
  readonly position: string | null;
  readonly machine: Machine;
  update(filter: Filter): void;
  check(): void;
  retry(): void;
  close(): void;
}
export class Machine {
  readonly state: ConnectionState["state"];
  readonly position: { epoch: string; seq: number } | null;
  readonly behind: number;
  stale(now: number): boolean;
}
export class AudioSender {
  readonly opened: Promise<void>;
  readonly ended: Promise<CloseEvent>;
  /** Seconds of live sound that were dropped because the daemon was behind. */
  readonly dropped: number;
  readonly waiting: number;
  send(chunk: ArrayBufferView | ArrayBuffer): Promise<void>;
  offer(chunk: ArrayBufferView | ArrayBuffer): boolean;
  close(): void;
}
export interface Options { token?: string; WebSocket?: unknown; fetch?: typeof fetch }
export class Earmark {
  constructor(url?: string | URL, options?: Options);
  url: URL;
  token: string;
  subscribe(filter?: Filter, options?: SubscribeOptions): Subscription;
  events(filter?: Filter, options?: Omit<SubscribeOptions, "onEvent" | "onState">): AsyncGenerator<EarmarkEvent>;
  history(parameters?: HistoryParameters): Promise<HistoryPage>;
  past(parameters?: HistoryParameters): AsyncGenerator<EarmarkEvent>;
  classify(model: string, clip: BodyInit, options?: { topK?: number }): Promise<Score[]>;
  /** FLAC, by the id of a label. */
  clip(id: string): Promise<ArrayBuffer>;
  sendAudio(source: string, options: { rate: number; channels?: number; format?: "s16le" | "f32le" }): AudioSender;
  info(): Promise<Record<string, unknown>>;
  sources(): Promise<Record<string, unknown>>;
  classifiers(): Promise<Record<string, unknown>>;
  patchClassifier(
    name: string,
    changes: { decide?: object; vad?: object; labels?: string[]; background?: string[]; template?: string },
  ): Promise<Record<string, unknown>>;
  patchSource(name: string, changes: { paused: boolean }): Promise<Record<string, unknown>>;
}
export function address(text: string): URL;
export function subprotocols(token: string): string[];
