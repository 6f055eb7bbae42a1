// For tests that bound how much work something is: what else the machine does meanwhile does not count.
import process from "node:process";

/** Milliseconds of processor time that this process has used. */
export function spent(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
