// Package blob (being written by the lead right now, as is turn: R2, leave both).
package blob
