import { missing } from "./nowhere";
import { absent } from "./table";

console.log(missing, absent);
