// The sound that the daemon kept of a detection. It is fetched with the token, which an <audio> element could not send,
// and decoded here, so that the page's policy needs no media.

let context = null;
let node = null;

/** Play the sound of the label with this id, or stop it if it plays. */
export async function hear(page, id) {
  const { view, stream } = page;
  const stopped = view.heard?.playing && view.heard.id === id;
  node?.stop();
  node = null;
  if (stopped) return show(page, { id });
  show(page, { id, playing: true });
  try {
    context ??= new AudioContext();
    await context.resume();
    const sound = await context.decodeAudioData(await stream.client.clip(id));
    if (view.heard?.id !== id || !view.heard.playing) return; // another one was asked for meanwhile
    const made = context.createBufferSource();
    made.buffer = sound;
    made.connect(context.destination);
    made.onended = () => node === made && show(page, { id });
    made.start();
    node = made;
  } catch (error) {
    show(page, { id, problem: error.message });
  }
}

function show(page, heard) {
  page.view.heard = heard;
  page.draw();
}
