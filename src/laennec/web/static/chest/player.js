/** Plays one recording at a time. */

import { address } from "../api.js";
import { toast } from "../dialogs.js";
import { text } from "../text.js";

/** Returns {toggle(id), plays(id)}, until the end of `life`; `changed` is called when something begins or ends. */
export function createPlayer(life, changed) {
  const sound = new Audio();
  let current = null;
  sound.preload = "none";
  life.on(sound, ["play", "pause", "ended"], changed);
  life.atEnd(() => {
    sound.pause();
    sound.removeAttribute("src");
    sound.load(); // lets the connection and the buffer go
  });
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
        if (error.name !== "AbortError" && !life.ended) toast(text("patient.no_sound"), "error");
      });
    },
  };
}
