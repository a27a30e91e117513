// Where workerd keeps the data of an object: file names follow from the namespace key and the object's name.

import { createHash, createHmac } from "node:crypto";
import path from "node:path";

/** Path of an object's SQLite file, relative to its plugin's folder. */
export function objectFile(uniqueKey, name) {
  const key = createHash("sha256").update(uniqueKey).digest();
  const nameHmac = createHmac("sha256", key).update(name).digest().subarray(0, 16);
  const check = createHmac("sha256", key).update(nameHmac).digest().subarray(0, 16);
  return path.join(uniqueKey, `${Buffer.concat([nameHmac, check]).toString("hex")}.sqlite`);
}
