// The procedures that the page calls, with their types. What each does is in proto/statehouse/v1.

import type { CreateSnapshotResponseJson, ListSnapshotsResponseJson, StatsResponseJson, VerifyResponseJson } from "./gen/statehouse/v1/admin_service_pb";
import type { ActionsResponseJson, CallRequestJson, CallResponseJson } from "./gen/statehouse/v1/command_service_pb";
import type { ReadRequestJson, ReadResponseJson, SubscribeRequestJson, SubscribeResponseJson } from "./gen/statehouse/v1/log_service_pb";
import type { AtJson } from "./gen/statehouse/v1/moment_pb";
import type { RegistryServiceListResponseJson } from "./gen/statehouse/v1/registry_service_pb";
import type { GetRequestJson, GetResponseJson, StateServiceListRequestJson, StateServiceListResponseJson, WatchRequestJson, WatchResponseJson } from "./gen/statehouse/v1/state_service_pb";
import type { DensityRequestJson, DensityResponseJson, DiffRequestJson, DiffResponseJson, HistoryRequestJson, HistoryResponseJson, ResolveResponseJson, WhyRequestJson, WhyResponseJson } from "./gen/statehouse/v1/timeline_service_pb";
import { call, stream } from "./rpc";

type Signal = AbortSignal | undefined;

export const getState = (r: GetRequestJson, s?: Signal) => call<GetResponseJson>("StateService/Get", r, s);
export const listStates = (r: StateServiceListRequestJson, s?: Signal) => stream<StateServiceListResponseJson>("StateService/List", r, s);
export const watch = (r: WatchRequestJson, s?: Signal) => stream<WatchResponseJson>("StateService/Watch", r, s);

export const readLog = (r: ReadRequestJson, s?: Signal) => stream<ReadResponseJson>("LogService/Read", r, s);
export const subscribe = (r: SubscribeRequestJson, s?: Signal) => stream<SubscribeResponseJson>("LogService/Subscribe", r, s);

export const resolve = (at: AtJson | undefined, s?: Signal) => call<ResolveResponseJson>("TimelineService/Resolve", at ? { at } : {}, s);
export const density = (r: DensityRequestJson, s?: Signal) => call<DensityResponseJson>("TimelineService/Density", r, s);
export const diff = (r: DiffRequestJson, s?: Signal) => stream<DiffResponseJson>("TimelineService/Diff", r, s);
export const history = (r: HistoryRequestJson, s?: Signal) => stream<HistoryResponseJson>("TimelineService/History", r, s);
export const why = (r: WhyRequestJson, s?: Signal) => stream<WhyResponseJson>("TimelineService/Why", r, s);

export const listRegistry = (at: AtJson | undefined, s?: Signal) =>
  stream<RegistryServiceListResponseJson>("RegistryService/List", at ? { at } : {}, s);

export const command = (r: CallRequestJson, s?: Signal) => call<CallResponseJson>("CommandService/Call", r, s);
export const actions = (entityId: string, s?: Signal) => call<ActionsResponseJson>("CommandService/Actions", { entityId }, s);

export const stats = (s?: Signal) => call<StatsResponseJson>("AdminService/Stats", {}, s);
export const listSnapshots = (s?: Signal) => call<ListSnapshotsResponseJson>("AdminService/ListSnapshots", {}, s);
export const createSnapshot = (s?: Signal) => call<CreateSnapshotResponseJson>("AdminService/CreateSnapshot", {}, s);
export const verify = (s?: Signal) => stream<VerifyResponseJson>("AdminService/Verify", {}, s);
