import { missing } from "./nowhere";
import { absent } from "./table";

const twice = 1;
const twice = 2;
console.log(missing, absent, twice);
