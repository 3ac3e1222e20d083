// Package flight keeps records in a ring of files on disk: the newest are there after whatever happened, the oldest go
// when there is no more room. It knows nothing of what is in a record.
//
// A ring is a directory of segments. A segment begins with a header and holds frames: length, checksum, time, kind,
// payload. A frame that was cut off by the end of the process, or is damaged, ends its segment for readers; nothing before
// it is lost. Each time that a ring is opened it begins a segment, so that what one process has written
// is apart from what the next one writes.
package flight
