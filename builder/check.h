/*
 * builder/check.h - `slipway check`, the builder's part: store, engine,
 * router and targets on AWS, tried as the builder's user.
 */
#ifndef BUILDER_CHECK_H
#define BUILDER_CHECK_H

struct config;

/* One line each to stdout; returns the number of problems. */
int check_run(const struct config *cfg);

#endif
