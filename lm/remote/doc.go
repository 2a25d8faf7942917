// Package remote plays roles with models behind HTTP.
package remote
