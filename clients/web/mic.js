// The way of the microphone's sound: an AudioWorklet at the context's own rate, then s16le over a WebSocket.

import { t } from "./words.js";

export class Microphone {
  /** `ended(sentence)` is called when the daemon or the browser ends it; without a sentence if that was no failure. */
  constructor(client, source, ended) {
    Object.assign(this, { client, source, ended, rate: 0 });
  }

  /** Seconds of sound that were dropped because the daemon was behind. */
  get dropped() {
    return this.sender?.dropped ?? 0;
  }

  /** Ask for the microphone and send. Throws where the browser or the daemon refuses. */
  async start() {
    // what makes calls pleasant takes from the sound what the models have learnt
    const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1 };
    this.media = await navigator.mediaDevices.getUserMedia({ audio });
    this.context = new AudioContext(); // at its own rate: Firefox connects a microphone to no other
    this.rate = this.context.sampleRate;
    await this.context.audioWorklet.addModule(new URL("worklet.js", import.meta.url));
    this.sender = this.client.sendAudio(this.source, { rate: this.rate });
    await this.sender.opened;
    const [track] = this.media.getAudioTracks();
    track.addEventListener("ended", () => this.finish(t("mic.unplugged")));
    this.sender.ended.then(({ code, reason }) => this.finish(code === 1000 ? undefined : reason || t("mic.closed")));
    this.node = new AudioWorkletNode(this.context, "to-int16", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
    this.node.port.onmessage = ({ data }) => this.sender.offer(data);
    this.context.createMediaStreamSource(this.media).connect(this.node);
    await this.context.resume();
  }

  finish(sentence) {
    if (this.stopped) return;
    this.stop();
    this.ended(sentence);
  }

  stop() {
    this.stopped = true;
    for (const track of this.media?.getTracks() ?? []) track.stop();
    this.node?.disconnect();
    this.context?.close();
    this.sender?.close();
  }
}
