/** Plays one recording at a time. */

import { address } from "../api.js";
import { toast } from "../dialogs.js";
import { text } from "../text.js";

/** Returns {toggle(id), plays(id), close()}; `changed` is called when something begins or ends. */
export function createPlayer(changed) {
  const sound = new Audio();
  const end = new AbortController();
  const { signal } = end;
  let current = null;
  sound.preload = "none";
  for (const kind of ["play", "pause", "ended"]) sound.addEventListener(kind, changed, { signal });
  return {
    plays: (id) => id === current && !sound.paused && !sound.ended,
    toggle(id) {
      if (id === current && !sound.paused) {
        sound.pause();
        return;
      }
      if (id !== current) sound.src = address(`recordings/${id}/sound/0.wav`);
      current = id;
      sound.play().catch((error) => {
        if (error.name !== "AbortError" && !signal.aborted) toast(text("patient.no_sound"), "error");
      });
    },
    close() {
      end.abort();
      sound.pause();
      sound.removeAttribute("src");
      sound.load(); // lets the connection and the buffer go
    },
  };
}
