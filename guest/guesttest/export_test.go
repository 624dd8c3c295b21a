package guesttest

// Batches is the check of batches.
var Batches = batches
