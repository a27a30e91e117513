// Times as the database writes them, so that comparing them as text compares them as times.

/** ISO 8601 in UTC to the second: a fraction would sort before the `Z` of a whole second. */
export function timestamp(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}
