// Points in time, oldest first, of which only the newest are kept.

export class Series {
  /** Keep the points of `ms`, and at most `most` of them. A point has `at` (ms). */
  constructor(ms, most) {
    this.points = [];
    this._ms = ms;
    this._most = most;
  }

  push(point) {
    this.points.push(point);
    const oldest = point.at - this._ms;
    let stale = Math.max(0, this.points.length - this._most);
    while (stale < this.points.length && this.points[stale].at < oldest) stale++;
    if (stale > 64 || stale === this.points.length) this.points.splice(0, stale); // in groups: it moves the rest
  }

  get last() {
    return this.points[this.points.length - 1];
  }

  /** Return the points from `from` on. */
  since(from) {
    let low = 0;
    let high = this.points.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.points[middle].at < from) low = middle + 1;
      else high = middle;
    }
    return low ? this.points.slice(low) : this.points;
  }
}
