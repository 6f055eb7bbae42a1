// What things are called wherever they are shown: the faces, and threads that nobody gave a title.

import { visible } from "./json";
import { exact, timeOfDay } from "./time";

const FACES: Record<string, string> = {
  own: "API",
  kai: "Kai",
  chatkit: "ChatKit",
  stackspot: "StackSpot",
  noukai: "Noukai",
  openai: "OpenAI",
};

/** The names that the server knows them by. */
export const FACE_KEYS: readonly string[] = Object.keys(FACES);

export function faceName(face: string): string {
  return Object.hasOwn(FACES, face) ? (FACES[face] ?? face) : visible(face);
}

/** Those without a title are told apart by when they were begun. */
export function threadTitle(thread: { title: string; created: number }): string {
  if (thread.title !== "") return visible(thread.title);
  const today = new Date(thread.created * 1_000).toDateString() === new Date().toDateString();
  return `Untitled, ${today ? timeOfDay(thread.created) : exact(thread.created)}`;
}
