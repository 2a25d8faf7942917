// Package chattemplate renders conversations as models expect them, by the Jinja template
// that comes with a model.
//
// [Template.Render] gives the text to continue; [Template.Spans] gives a whole
// conversation together with the byte ranges that training puts loss on, from the same
// renderings, so that text and mask cannot disagree.
package chattemplate
