// Sound to a source of kind `network`, with flow control by what the socket has not sent yet.

const HIGH_SECONDS = 0.5; // of sound that may wait in the socket before send() waits
const DROP_SECONDS = 2; // of live sound that may wait before offer() drops
const LOOK_EVERY = 20; // ms between two looks at the socket; browsers tell no event when it drains
const SAMPLE_BYTES = { s16le: 2, f32le: 4 };

/** Return float samples (-1 to 1) as 16-bit integers. */
export function toInt16(samples) {
  const out = new Int16Array(samples.length);
  for (let i = 0; i < samples.length; i++) {
    const value = Math.max(-1, Math.min(1, samples[i]));
    out[i] = value < 0 ? value * 32768 : value * 32767;
  }
  return out;
}

/**
 * One sender. `opened` resolves when the daemon has accepted, and rejects where it refuses; `ended` resolves with the
 * close event. The daemon stops reading when its buffer is full, so `bufferedAmount` of the socket rises.
 */
export class AudioSender {
  constructor(socket, { rate, channels = 1, format = "s16le" }) {
    socket.binaryType = "arraybuffer";
    this._socket = socket;
    this._bytesPerSecond = rate * channels * (SAMPLE_BYTES[format] ?? 2);
    this.dropped = 0; // seconds of sound that offer() has dropped
    this.ended = new Promise((resolve) => socket.addEventListener("close", resolve));
    this.opened = new Promise((resolve, reject) => {
      socket.addEventListener("open", () => resolve());
      socket.addEventListener("error", () => {});
      socket.addEventListener("close", (event) => reject(new Error(event.reason || "the daemon does not take the sound")));
    });
    this.opened.catch(() => {});
  }

  /** Seconds of sound that wait in the socket. */
  get waiting() {
    return this._socket.bufferedAmount / this._bytesPerSecond;
  }

  /** Send a chunk of PCM and wait while the daemon is behind: for recordings, which may be faster than they sound. */
  async send(chunk) {
    this._socket.send(chunk);
    while (this.waiting > HIGH_SECONDS && this._socket.readyState === 1) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
    }
  }

  /** Send a chunk of live PCM, or drop it and count it where two seconds wait already. Returns whether it was sent. */
  offer(chunk) {
    if (this._socket.readyState !== 1) return false;
    if (this.waiting > DROP_SECONDS) {
      this.dropped += chunk.byteLength / this._bytesPerSecond;
      return false;
    }
    this._socket.send(chunk);
    return true;
  }

  close() {
    this._socket.close(1000);
  }
}
