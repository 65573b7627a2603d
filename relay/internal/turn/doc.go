// Package turn (being written by the lead right now, as is blob: R2, leave both).
package turn
