// When things happened, and how long a peak stands.

const HOLD = 1500; // ms for which the peak of a level stands still
const FALL = 12; // dB a second by which it then falls

/** Return the moment at which what an event tells of ended. A recording read at speed has no true places in UTC. */
export function moment(event, place = event.end_time) {
  const published = Date.parse(event.time);
  const told = place ? Date.parse(place) : NaN;
  return Math.abs(published - told) < 120_000 ? told : published;
}

/** The peak stands still for a while, and then falls. */
export function held(known, peak, at) {
  if (!known || peak >= known.hold) return { hold: peak, holdAt: at };
  const falling = Math.max(0, at - known.holdAt - HOLD) / 1000;
  if (!falling) return { hold: known.hold, holdAt: known.holdAt };
  return { hold: Math.max(peak, known.hold - (FALL * (at - known.at)) / 1000), holdAt: known.holdAt };
}
