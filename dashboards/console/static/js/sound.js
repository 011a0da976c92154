// The siren. A browser lets a page sound only after a press, so it is armed and tested as a shift starts.
import { post } from "./api.js";
import { $ } from "./dom.js";
import { may, state } from "./state.js";

const TONES_HZ = [880, 660], TONE_S = 0.45, TEST_S = 1.2;
let audio = null, siren = null;

export const armed = () => audio?.state === "running" && document.body.dataset.sound === "armed";

export function bar() {
  if (!document.body.dataset.sound) document.body.dataset.sound = "off";
  $("#sound-bar").hidden = !may("shift") || armed();
}

export function startSound() {
  $("#sound-arm").addEventListener("click", async () => {
    audio ??= new AudioContext();
    await audio.resume();
    tone(TEST_S, 0);
    document.body.dataset.sound = "testing";
    $("#sound-asked").hidden = false;
  });
  $("#sound-yes").addEventListener("click", () => heard(true));
  $("#sound-no").addEventListener("click", () => heard(false));
}

function heard(was) {
  document.body.dataset.sound = was ? "armed" : "off";
  $("#sound-asked").hidden = true;
  bar();
  if (state.me) post("/api/shift/armed", { heard: was });
}

// On as long as a panic waits for somebody.
export function sound(wanted) {
  const on = wanted && armed();
  document.body.dataset.siren = on ? "on" : "off";
  if (on && siren === null) {
    const both = () => { tone(TONE_S, 0, TONES_HZ[0]); tone(TONE_S, TONE_S, TONES_HZ[1]); };
    both();
    siren = setInterval(both, TONE_S * 2000);
  } else if (!on && siren !== null) {
    clearInterval(siren);
    siren = null;
  }
}

function tone(seconds, after, hertz = TONES_HZ[0]) {
  const oscillator = audio.createOscillator(), gain = audio.createGain(), at = audio.currentTime + after;
  oscillator.type = "square";
  oscillator.frequency.setValueAtTime(hertz, at);
  gain.gain.setValueAtTime(0.0001, at);
  gain.gain.exponentialRampToValueAtTime(0.25, at + 0.02);
  gain.gain.exponentialRampToValueAtTime(0.0001, at + seconds);
  oscillator.connect(gain).connect(audio.destination);
  oscillator.start(at);
  oscillator.stop(at + seconds);
}
