// The siren. A browser lets a page sound only after a press, so it is armed and tested as a shift starts.
import { post } from "./api.js";
import { effect, signal } from "./html.js";
import { life, may, session, waiting } from "./store.js";

const TONES_HZ = [880, 660],
  LOST_HZ = 220,
  TONE_S = 0.45,
  LOST_EVERY_MS = 3000;
export const armed = signal("off"); // off, testing, armed
export const volume = signal(Number(localStorage.getItem("volume") ?? 0.6));
let audio = null,
  playing = "",
  timer = 0;

export const needsArming = () => may("shift") && armed.value !== "armed";

export async function test() {
  audio ??= new AudioContext();
  await audio.resume();
  both();
  armed.value = "testing";
}
export function setVolume(to) {
  volume.value = to;
  localStorage.setItem("volume", to);
  if (armed.value === "testing") both();
}
export function heard(was) {
  armed.value = was ? "armed" : "off";
  post("/api/shift/armed", { heard: was });
}

// As long as a panic waits for somebody; and, another tone, as long as the page is not told any more.
export function startSound() {
  effect(() => {
    const on = armed.value === "armed" && session.value !== "asking";
    const lost = on && (session.value !== "in" || life.value.dead),
      siren = on && !lost && may("step") && waiting.value.length > 0;
    document.body.dataset.sound = armed.value;
    document.body.dataset.siren = siren ? "on" : lost ? "lost" : "off";
    play(siren ? "siren" : lost ? "lost" : "");
  });
}
function play(what) {
  if (what === playing) return;
  clearInterval(timer);
  playing = what;
  if (!what) return;
  const sound = what === "siren" ? both : () => tone(TONE_S, 0, LOST_HZ);
  sound();
  timer = setInterval(sound, what === "siren" ? TONE_S * 2000 : LOST_EVERY_MS);
}

function both() {
  tone(TONE_S, 0, TONES_HZ[0]);
  tone(TONE_S, TONE_S, TONES_HZ[1]);
}
function tone(seconds, after, hertz) {
  const oscillator = audio.createOscillator(),
    gain = audio.createGain(),
    at = audio.currentTime + after;
  oscillator.type = "square";
  oscillator.frequency.setValueAtTime(hertz, at);
  gain.gain.setValueAtTime(0.0001, at);
  gain.gain.exponentialRampToValueAtTime(Math.max(0.001, volume.value ** 2), at + 0.02);
  gain.gain.exponentialRampToValueAtTime(0.0001, at + seconds);
  oscillator.connect(gain).connect(audio.destination);
  oscillator.start(at);
  oscillator.stop(at + seconds);
}
