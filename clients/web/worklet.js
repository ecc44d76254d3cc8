// On the browser's audio thread: gathers 20 ms of samples, makes 16-bit integers of them, and posts them.

const SECONDS = 0.02;

class ToInt16 extends AudioWorkletProcessor {
  constructor() {
    super();
    this.chunk = new Int16Array(Math.round(sampleRate * SECONDS));
    this.filled = 0;
  }

  process([input]) {
    const samples = input[0];
    for (let i = 0; samples && i < samples.length; i++) {
      const value = Math.max(-1, Math.min(1, samples[i]));
      this.chunk[this.filled++] = value < 0 ? value * 32768 : value * 32767;
      if (this.filled === this.chunk.length) {
        this.port.postMessage(this.chunk.buffer.slice(0));
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("to-int16", ToInt16);
