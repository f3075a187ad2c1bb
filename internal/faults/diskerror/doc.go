// Package diskerror has the disk fail under the program: writes for want of space or because it is broken, and syncs,
// each at any of the calls that the program makes, once or from then on until the disk is mended. Afterwards it looks
// whether everybody was told, readers could go on, nothing that was acknowledged is lost, also when the pages whose sync
// failed are dropped and the power is cut, and whether the program went on by itself.
package diskerror
